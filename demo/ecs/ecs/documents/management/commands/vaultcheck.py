import json
import sys
from dataclasses import asdict

from django.core.management.base import BaseCommand

from ecs.documents.vault import check


class Command(BaseCommand):
    help = "Compares the records with the vault. Exit 1 if a file is missing, altered, or belongs to no record."

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--vault", metavar="DIR", help="look there instead, at a restored copy")
        parser.add_argument("--decrypt", action="store_true", help="also decrypt each file and compare its content")
        parser.add_argument("--orphans-ok", action="store_true",
                            help="files without a record are no error: a vault copied after its dump has some")

    def handle(self, vault: str | None, decrypt, orphans_ok, **options):
        report = check(vault, decrypt)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        else:
            self.print_report(report)
        if report.missing or report.altered or (report.orphaned and not orphans_ok):
            sys.exit(1)

    def print_report(self, report):
        self.stdout.write(f"{report.documents} documents, {report.files} files")
        for finding in ("missing", "altered", "orphaned"):
            for name in getattr(report, finding):
                self.stdout.write(f"{finding:9} {name}")
