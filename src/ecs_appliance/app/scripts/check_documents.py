"""What runs in the application, by its shell: reads its documents back. Its Python may be 3.5, its Django 1.8."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict

from ecs.documents.models import Document

CHUNK = 1024 * 1024


def read_back(document: Any) -> str:
    """Return why `document` is not read, decrypted and verified to its end; empty where it is."""
    try:
        with document.retrieve_raw() as content:
            while content.read(CHUNK):
                pass
    except Exception as error:  # noqa: BLE001 # whatever it is, it belongs to this document
        return type(error).__name__
    return ""


def main(data: Dict[str, Any]) -> Dict[str, Any]:
    """Return the names of all documents that have a row, and why some are not readable.

    Those in `proven` are not read.
    """
    # In a running site, whoever uses it comes first.
    os.nice(10)
    names, unread, unreadable = [], [], {}
    proven = set(data["proven"])
    for document in Document.objects.all().iterator():
        names.append(document.uuid.hex)
        if document.uuid.hex not in proven:
            unread.append(document)
    # The first one alone: by it gpg makes what the others beside each other would all make.
    for documents in (unread[:1], unread[1:]):
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for document, reason in zip(documents, pool.map(read_back, documents)):
                if reason:
                    unreadable[document.uuid.hex] = reason
    return {"documents": names, "unreadable": unreadable}
