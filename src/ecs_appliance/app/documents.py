"""The application's documents as it reads them itself: its rows, and each file decrypted and its signature verified."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ecs_appliance.app.shell import Send, run_script
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.text import printable

SCRIPT = Path(__file__).with_name("scripts") / "check_documents.py"
NAME = re.compile(r"[0-9a-f]{32}")


def read_documents(send: Send, proven: Iterable[str]) -> tuple[frozenset[str], Mapping[str, str]]:
    """Return the documents that have a row, and those of them that are not readable, with a reason each.

    All are read but those in `proven`. Raises ApplianceError where the application cannot tell.
    """
    answer = run_script(send, SCRIPT.read_text(), {"proven": sorted(proven)})
    documents, unreadable = answer["documents"], answer["unreadable"]
    if not all(isinstance(name, str) and NAME.fullmatch(name) for name in (*documents, *unreadable)):
        raise ApplianceError("the application names documents otherwise than the vault does", "report this")
    return frozenset(documents), {name: printable(str(reason)) for name, reason in unreadable.items()}
