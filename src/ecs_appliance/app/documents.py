"""Have the application read its documents: list the rows, decrypt each file and verify its signature."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ecs_appliance.app.shell import Send, run_script
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.text import printable

SCRIPT = Path(__file__).with_name("scripts") / "check_documents.py"
NAME = re.compile(r"[0-9a-f]{32}")


def read_documents(send: Send, proven: Iterable[str]) -> tuple[frozenset[str], Mapping[str, str]]:
    """Return the names of the documents that have a row, and the unreadable ones of them with the reason for each.

    Documents in `proven` are not read. Raise ApplianceError if the application fails.
    """
    answer = run_script(send, SCRIPT.read_text(), {"proven": sorted(proven)})
    documents, unreadable = answer["documents"], answer["unreadable"]
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (*documents, *unreadable)):
        raise ApplianceError("the application and the vault name documents differently", "report this as a bug")
    return frozenset(documents), {name: printable(str(reason)) for name, reason in unreadable.items()}
