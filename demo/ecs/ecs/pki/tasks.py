from celery import shared_task

from ecs.pki import authority


@shared_task
def write_crl():
    """Renew the revocation list long before it expires."""
    authority.write_crl()
