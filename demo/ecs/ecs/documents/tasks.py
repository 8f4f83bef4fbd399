import time
from pathlib import Path

from celery import shared_task
from django.conf import settings

MAX_AGE = 24 * 3600


@shared_task
def expire_cache():
    """Remove temporary files older than a day, which killed processes left."""
    for path in Path(settings.CACHE_DIR).iterdir():
        if path.is_file() and path.stat().st_mtime < time.time() - MAX_AGE:
            path.unlink(missing_ok=True)
