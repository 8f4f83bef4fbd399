"""Compare the records with the vault, so that tests do not rely on the appliance's own check.

This is not a command of the application, because ECS has none either: `run python3 -m tests.vaultcheck`.
"""
import argparse
import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass
class Report:
    documents: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)


def check(decrypt: bool = False) -> Report:
    """Compare every row with its file, and every file with the rows."""
    from django.conf import settings

    from ecs.documents.models import Document
    from ecs.documents.vault import hash_file, path_of

    folder = Path(settings.STORAGE_VAULT["dir"])
    files = {path.name: path for path in folder.glob("?/?/?/?/*") if FILE_NAME.fullmatch(path.name)}
    report = Report(files=len(files))
    for document in Document.objects.order_by("uuid").iterator():
        report.documents += 1
        path = files.pop(document.uuid.hex, None)
        if path is None or path != path_of(document.uuid):
            report.missing.append(document.uuid.hex)
        elif hash_file(path) != document.vault_sha256 or (decrypt and not decrypts(document)):
            report.altered.append(document.uuid.hex)
    report.orphaned = sorted(files)
    return report


def decrypts(document) -> bool:
    from ecs.documents import gpg, vault

    try:
        document.retrieve_raw().close()
    except (vault.Altered, gpg.GpgError):
        return False
    return True


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Exit 1 if a file is missing, altered, or belongs to no record.")
    parser.add_argument("--decrypt", action="store_true", help="also decrypt each file and compare its content")
    parser.add_argument("--orphans-ok", action="store_true", help="files without a record are no error")
    options = parser.parse_args(words)
    report = check(options.decrypt)
    print(json.dumps(asdict(report)))
    return int(bool(report.missing or report.altered or (report.orphaned and not options.orphans_ok)))


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ecs.settings")
    django.setup()
    sys.exit(main(sys.argv[1:]))
