"""State of the files with the containers' addresses and passwords; see ecs_appliance.app.settings."""

from pathlib import Path
from typing import Any

from ecs_appliance.app.settings import ensure_service_files, plan_service_files
from ecs_appliance.converge.states import guarded
from ecs_appliance.core.files import read_optional

__opts__: dict[str, Any]  # injected by Salt: the minion's options


@guarded
def present(name: str) -> dict[str, Any]:
    """Ensure the folder `name` contains the files."""
    folder = Path(name)
    if __opts__["test"]:
        files = plan_service_files(folder)
        written = [file for file, text in files.items() if read_optional(folder / file) != text]
    else:
        written = ensure_service_files(folder)
    return {
        "name": name,
        "result": None if written and __opts__["test"] else True,
        "changes": {"files": ", ".join(written)} if written else {},
        "comment": "",
    }
