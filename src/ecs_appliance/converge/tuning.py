"""What of the machine's memory is PostgreSQL's, and what a container may take at most."""

from ecs_appliance.core.facts import Facts

OTHERS_MB = 2560
OTHERS_MB_PER_CORE = 256
# ecs.slice has three fifths of the machine for all containers together: none may take it all from its neighbours.
LARGEST_PERCENT = 45
SMALL_MB = {"beat": 256, "smtpd": 512, "redis": 512, "memcached": 256}


def tune_postgresql(facts: Facts) -> dict[str, str]:
    """PostgreSQL settings, values as postgresql.conf takes them, for `facts`.

    The formula is the predecessor's, proven in the field: memory left by the operating system and the application
    is PostgreSQL's; a quarter of it is shared, each of at most 96 sorts per core may take its part of the rest.
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
    """The most MiB of memory of each of the site's containers, by its service.

    Web and worker convert documents, which takes what it takes: each may have the greater part of the slice. The
    limits of the others are many times what they use.
    """
    large = facts.memory_mb * LARGEST_PERCENT // 100
    return {"web": large, "worker": large, **SMALL_MB}
