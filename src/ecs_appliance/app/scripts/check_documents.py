"""Read documents back, inside the application by its shell, which may have Python 3.5 and Django 1.8."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict

from ecs.documents.models import Document

CHUNK = 1024 * 1024


def read_back(document: Any) -> str:
    """Return why `document` cannot be read, decrypted and verified completely; "" if it can."""
    try:
        with document.retrieve_raw() as content:
            while content.read(CHUNK):
                pass
    except Exception as error:  # noqa: BLE001 # any failure is a result for this document
        return type(error).__name__
    return ""


def main(data: Dict[str, Any]) -> Dict[str, Any]:
    """Return the names of all documents that have a row, and the reasons why some are not readable.

    Documents in `proven` are not read.
    """
    # Give priority to the users of a running site.
    os.nice(10)
    names, unread, unreadable = [], [], {}
    proven = set(data["proven"])
    for document in Document.objects.all().iterator():
        names.append(document.uuid.hex)
        if document.uuid.hex not in proven:
            unread.append(document)
    # Read the first one alone: gpg then creates files that concurrent runs would all try to create.
    for documents in (unread[:1], unread[1:]):
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for document, reason in zip(documents, pool.map(read_back, documents)):
                if reason:
                    unreadable[document.uuid.hex] = reason
    return {"documents": names, "unreadable": unreadable}
