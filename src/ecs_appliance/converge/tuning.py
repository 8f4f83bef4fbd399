"""Divides the machine's memory between PostgreSQL and the containers."""

from ecs_appliance.core.facts import Facts

OTHERS_MB = 2560
OTHERS_MB_PER_CORE = 256
# ecs.slice limits all containers to three fifths of the memory; no single one may take all of that.
LARGEST_PERCENT = 45
SMALL_MB = {"beat": 256, "smtpd": 512, "redis": 512, "memcached": 256}


def tune_postgresql(facts: Facts) -> dict[str, str]:
    """Return PostgreSQL's settings for `facts`, formatted for postgresql.conf.

    The formula is the predecessor's, proven in the field: PostgreSQL gets the memory that the operating system and the
    application leave. A quarter of it is shared; the rest is divided among 96 sorts per core.
    """
    memory = max(512, facts.memory_mb - OTHERS_MB - OTHERS_MB_PER_CORE * facts.cores)
    shared = memory // 4
    work = (memory - shared) // 96 // facts.cores
    return {
        "max_connections": str(36 + 8 * facts.cores),
        "shared_buffers": f"{shared}MB",
        "work_mem": f"{min(64, max(4, work))}MB",
        "effective_cache_size": f"{max(2048, 3 * memory // 4)}MB",
    }


def limit_containers(facts: Facts) -> dict[str, int]:
    """Return the memory limit of each container of the site in MiB, by service.

    Web and worker convert documents, which may take a lot of memory: each may use most of the slice. The limits of the
    others are many times their usage.
    """
    large = facts.memory_mb * LARGEST_PERCENT // 100
    return {"web": large, "worker": large, **SMALL_MB}
