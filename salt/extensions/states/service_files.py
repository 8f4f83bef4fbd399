"""State of the files that let the containers to each other; what is in them says ecs_appliance.app.settings."""

from pathlib import Path
from typing import Any

from ecs_appliance.app.settings import ensure_service_files, plan_service_files
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import read_optional

__opts__: dict[str, Any]  # Salt puts the minion's options here


def present(name: str) -> dict[str, Any]:
    """The folder `name` has them."""
    folder = Path(name)
    try:
        if __opts__["test"]:
            files = plan_service_files(folder)
            written = [file for file, text in files.items() if read_optional(folder / file) != text]
        else:
            written = ensure_service_files(folder)
    except ApplianceError as error:
        return {"name": name, "result": False, "changes": {}, "comment": error.message}
    return {
        "name": name,
        "result": None if written and __opts__["test"] else True,
        "changes": {"files": ", ".join(written)} if written else {},
        "comment": "",
    }
