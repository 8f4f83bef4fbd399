"""What tests of several components need."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """`tmp_path`, that other accounts may enter too."""
    top = Path(tempfile.gettempdir())
    for folder in (tmp_path, *(parent for parent in tmp_path.parents if top in parent.parents)):
        folder.chmod(0o755)
    return tmp_path
