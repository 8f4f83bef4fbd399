"""The structure of the code, as far as reading it shows."""

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MOST_LINES = 400
MODULES = sorted(
    file
    for folder in ("src", "tests", "salt", "benchmarks")
    for file in (CHECKOUT / folder).rglob("*.py")
    if "__pycache__" not in file.parts
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CHECKOUT)))
def test_a_module_is_short_enough_to_read(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MOST_LINES
