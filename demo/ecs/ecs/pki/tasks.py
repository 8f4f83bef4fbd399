from celery import shared_task

from ecs.pki import authority


@shared_task
def write_crl():
    """A list has an end of validity: long before it comes, there is a new one."""
    authority.write_crl()
