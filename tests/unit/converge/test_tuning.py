"""PostgreSQL's settings, compared with values calculated from the formula by hand."""

import pytest

from ecs_appliance.converge.tuning import tune_postgresql
from ecs_appliance.core.facts import Facts


@pytest.mark.parametrize(
    ("memory_mb", "cores", "expected"),
    [
        # pg = max(512, 3000 - 2560 - 512) = 512
        (3000, 2, ("52", "128MB", "4MB", "2048MB")),
        # pg = 8192 - 2560 - 1024 = 4608; work = (4608 - 1152) // 96 // 4 = 9
        (8192, 4, ("68", "1152MB", "9MB", "3456MB")),
        # pg = 24105 - 2560 - 512 = 21033; work = (21033 - 5258) // 96 // 2 = 82, at most 64
        (24105, 2, ("52", "5258MB", "64MB", "15774MB")),
    ],
)
def test_settings_follow_the_formula(memory_mb: int, cores: int, expected: tuple[str, ...]) -> None:
    settings = tune_postgresql(Facts(memory_mb, cores, "host"))
    names = ("max_connections", "shared_buffers", "work_mem", "effective_cache_size")
    assert tuple(settings[name] for name in names) == expected
