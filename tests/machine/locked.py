"""Python programs for tests whose dependencies are not the appliance's, each in its own locked environment."""

import sys
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner

CHECKOUT = Path(__file__).parents[2]
INSTALL_SECONDS = 600
ENVIRONMENT = {"UV_SYSTEM_CERTS": "1", "UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never"}


def provide(requirements: Path) -> Path:
    """Return the folder of programs of the environment that `requirements` locks, creating it if they have changed."""
    uv, folder = CHECKOUT / ".venv-uv/bin/uv", CHECKOUT / f".venv-{requirements.stem}"
    mark, run = folder / requirements.name, SystemRunner().run
    if not mark.is_file() or mark.read_text() != requirements.read_text():
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], timeout=60, env=ENVIRONMENT)
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", folder / "bin/python"]
        locked: list[str | Path] = ["--require-hashes", "--requirements", requirements]
        run([*install, *locked], timeout=INSTALL_SECONDS, env=ENVIRONMENT)
        mark.write_text(requirements.read_text())
    return folder / "bin"
