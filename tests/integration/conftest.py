"""Fixtures for tests of several components."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """Return `tmp_path`, made accessible to other accounts."""
    top = Path(tempfile.gettempdir())
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if top in parent.parents)):
        folder.chmod(0o755)
    return tmp_path
