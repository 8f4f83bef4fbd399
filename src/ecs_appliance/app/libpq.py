"""Determine which password method for PostgreSQL the application's image supports."""

import logging

from ecs_appliance.core.markers import MarkerFolder
from ecs_appliance.core.runner import Runner
from ecs_appliance.host.docker import Task, image_id, run_once
from ecs_appliance.host.roles import PasswordMethod

log = logging.getLogger(__name__)

SECONDS = 120
TAG = "last_libpq"
FIRST_WITH_SCRAM = 100000
# Runs in any Python. A driver may contain its own libpq, so query it before the system's.
QUESTION = """
def newest():
    try:
        import psycopg
        return psycopg.pq.version()
    except Exception:
        pass
    try:
        import psycopg2.extensions
        return psycopg2.extensions.libpq_version()
    except Exception:
        pass
    try:
        import psycopg2
        return psycopg2.__libpq_version__
    except Exception:
        pass
    import ctypes, ctypes.util
    return ctypes.CDLL(ctypes.util.find_library('pq')).PQlibVersion()
print('libpq %d' % newest())
"""
PYTHON = (
    'for python in /app/env/bin/python python3; do command -v "$python" >/dev/null && exec "$python" -; done; exit 1'
)


def password_method(runner: Runner, image: str, tags: MarkerFolder) -> PasswordMethod:
    """Return SCRAM if the libpq in `image` is version 10 or newer, else md5, which every version supports.

    Query each image only once, and store the result in `tags`.
    """
    version = libpq_version(runner, image, tags)
    return "scram-sha-256" if version >= FIRST_WITH_SCRAM else "md5"


def libpq_version(runner: Runner, image: str, tags: MarkerFolder) -> int:
    """Return the version of the libpq in `image` as an integer (90524 is 9.5.24); 0 if it is not found."""
    identity = image_id(runner, image)
    known, _, version = (tags.get(TAG) or "").partition(" ")
    if identity is not None and known == identity:
        return int(version)
    found = _ask(runner, image)
    if identity is not None:
        tags.set(TAG, f"{identity} {found}")
    return found


def _ask(runner: Runner, image: str) -> int:
    task = Task("appliance-libpq", image, ("-c", PYTHON), entrypoint="/bin/sh")
    answer = run_once(runner, task, timeout=SECONDS, input=QUESTION, ok=range(256))
    for line in answer.lines():
        name, _, version = line.partition(" ")
        if name == "libpq" and version.isdecimal():
            return int(version)
    log.warning("the libpq version of %s is unknown, so its database password is stored as md5", image)
    return 0
