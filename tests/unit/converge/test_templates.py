"""State files: those that contain Jinja are rendered, and no others."""

import re
from pathlib import Path

import pytest

STATES = Path(__file__).parents[3] / "salt/states"
SOURCE = re.compile(r"- source: salt://(?P<path>\S+)\n(?P<rest>(?: {4,}-? ?\S.*\n)*)")
JINJA = re.compile(r"\{\{|\{%")


def sources() -> list[tuple[str, Path, bool]]:
    """Return each file or folder that a state installs: the state's name, the path, and whether it is rendered."""
    found = []
    for state in sorted(STATES.rglob("*.sls")):
        for match in SOURCE.finditer(state.read_text()):
            rendered = "- template: jinja" in match["rest"]
            for path in STATES.glob(re.sub(r"\{\{.*?\}\}", "*", match["path"])):
                found.append((str(state.relative_to(STATES)), path, rendered))
    return found


@pytest.mark.parametrize(("state", "path", "rendered"), sources(), ids=str)
def test_a_file_with_jinja_is_a_template(state: str, path: Path, *, rendered: bool) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    written = [file.name for file in files if JINJA.search(file.read_text())]
    assert rendered or not written, f"{state} installs {written} as they are"
