"""The table of faults in the documentation matches the one in the tests."""

from pathlib import Path

from tests.faults import render

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_faults_is_current() -> None:
    assert (DOCS / "faults.md").read_text() == render(), (
        "./.venv-dev/bin/python -c 'from tests.faults import render; print(render(), end=\"\")' > docs/faults.md"
    )
