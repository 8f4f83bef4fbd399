"""Settings for tests: a database in memory, temporary folders, tasks run inline."""
import tempfile
from pathlib import Path

from ecs.settings import *  # noqa: F403

_folder = Path(tempfile.mkdtemp(prefix="ecs-test-"))
for _name in ("vault", "gpg", "ca", "cache"):
    (_folder / _name).mkdir(mode=0o700)

SECRET_KEY = "tests"
DOMAIN = "ecs.example.org"
ALLOWED_HOSTS = [DOMAIN, "testserver"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGE_VAULT = {**STORAGE_VAULT, "dir": str(_folder / "vault"), "gpghome": str(_folder / "gpg")}  # noqa: F405
PKI_DIR, CACHE_DIR, COMPRESSED_DIR = str(_folder / "ca"), str(_folder / "cache"), str(_folder / "static")
CELERY_TASK_ALWAYS_EAGER = True
SECURE_SSL_REDIRECT = False
EMAIL_BACKEND_UNFILTERED = "django.core.mail.backends.locmem.EmailBackend"
SMTPD_CONFIG = {"listen_addr": ("127.0.0.1", 0), "domain": DOMAIN, "max_size": 1024 * 1024}
