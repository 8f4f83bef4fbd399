"""Default settings. What differs between sites comes from environment variables; ECS_SETTINGS overrides everything."""
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from celery.schedules import crontab

PROJECT_DIR = Path(__file__).parent.parent


def database(url: str) -> dict:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": unquote(parts.path.lstrip("/")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }


DEBUG = False
SECRET_KEY = ""  # no default, so that a site without its own does not start
DOMAIN = "localhost"
ABSOLUTE_URL_PREFIX = "https://localhost"
ALLOWED_HOSTS = [DOMAIN]

# the document vault, the client certificates, the temporary files
STORAGE_VAULT = {
    "dir": "/app/ecs-storage-vault",
    "gpghome": "/app/ecs-gpg",
    "encryption_uid": "ecs_mediaserver",
    "signature_uid": "ecs_authority",
}
PKI_DIR = "/app/ecs-ca"
CACHE_DIR = "/app/ecs-cache"
COMPRESSED_DIR = "/tmp/ecs-static"  # lost with the container, unlike the names of its files in memcached

# internal users need a client certificate
ECS_REQUIRE_CLIENT_CERTS = True
# anything but "false" means on, even if it is not set
ECS_USERSWITCHER_ENABLED = os.environ.get("ECS_USERSWITCHER_ENABLED", "").strip().lower() != "false"
ECS_USERSWITCHER_PARAMETER = os.environ.get("ECS_USERSWITCHER_PARAMETER", "")
GIT_REV = os.environ.get("ECS_GIT_REV", "unknown")
GIT_BRANCH = os.environ.get("ECS_GIT_BRANCH", "unknown")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "ecs.core",
    "ecs.users",
    "ecs.pki",
    "ecs.documents",
    "ecs.communication",
    "ecs.integration",
]
MIDDLEWARE = [
    "ecs.core.middleware.DatabaseGone",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "ecs.pki.middleware.ClientCertificate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "ecs.urls"
WSGI_APPLICATION = "ecs.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PROJECT_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "ecs.core.stylesheet.page",
            ]
        },
    }
]
STATIC_URL = "/static/"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# the frontend terminates TLS and overwrites every header that is trusted here
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

USE_TZ = True
TIME_ZONE = "Europe/Vienna"
LANGUAGE_CODE = "en"

DATABASES = {"default": database(os.environ.get("DATABASE_URL", "postgres:///ecs"))}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": urlsplit(os.environ["MEMCACHED_URL"]).netloc,
        "OPTIONS": {"ignore_exc": True, "connect_timeout": 1, "timeout": 2},
    }
    if os.environ.get("MEMCACHED_URL")
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

_smtp = urlsplit(os.environ.get("SMTP_URL", "smtp://localhost:25"))
EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _smtp.hostname, _smtp.port or 25, 30
EMAIL_BACKEND_UNFILTERED = "django.core.mail.backends.smtp.EmailBackend"
SMTPD_CONFIG = {"listen_addr": ("0.0.0.0", 8025), "domain": DOMAIN, "max_size": 1024 * 1024}

REDIS_URL = os.environ.get("REDIS_URL", "")
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # the task of a killed worker runs again
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_keepalive": True, "health_check_interval": 20}
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = "/tmp/celerybeat-schedule"
CELERY_BEAT_SCHEDULE = {
    "received mail": {"task": "ecs.communication.tasks.file_received_mail", "schedule": crontab()},
    "temporary files": {"task": "ecs.documents.tasks.expire_cache", "schedule": crontab(minute=7)},
    "sessions": {"task": "ecs.integration.tasks.clearsessions", "schedule": crontab(28, 3)},
    "old traces": {"task": "ecs.integration.tasks.forget_traces", "schedule": crontab(38, 3, day_of_week=0)},
    "revocation list": {"task": "ecs.pki.tasks.write_crl", "schedule": crontab(8, 4, day_of_month=1)},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "propagate": True}, "mail.log": {"level": "WARNING"}},
}

exec(os.environ.get("ECS_SETTINGS", ""))
