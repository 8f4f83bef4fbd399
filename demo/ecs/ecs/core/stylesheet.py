"""The stylesheet is compressed into the container at first use; its name is kept in memcached.

The name outlives the file when web is recreated, so memcached must be flushed then.
"""
import hashlib
import re
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

SOURCE = settings.PROJECT_DIR / "static" / "ecs.css"


def compress(css: str) -> str:
    return re.sub(r"\s*([{};:,])\s*", r"\1", re.sub(r"/\*.*?\*/|\s+", " ", css, flags=re.S)).strip()


def write_compressed() -> str:
    css = compress(SOURCE.read_text())
    # the file is lost with the container, so its name must differ after each start
    started = str(Path("/proc/1").stat().st_ctime)
    name = hashlib.sha256((started + css).encode()).hexdigest()[:12] + ".css"
    folder = Path(settings.COMPRESSED_DIR)
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(css)
    return name


def page(request) -> dict:
    """Return the template context that every page needs."""
    name = cache.get_or_set("stylesheet", write_compressed, timeout=None)
    context = {"stylesheet": f"{settings.STATIC_URL}CACHE/{name}", "revision": settings.GIT_REV[:10]}
    if settings.ECS_USERSWITCHER_ENABLED and request.user.is_authenticated:
        from ecs.users.models import UserProfile

        context["testusers"] = UserProfile.objects.filter(is_testuser=True, user__is_active=True).select_related("user")
    return context
