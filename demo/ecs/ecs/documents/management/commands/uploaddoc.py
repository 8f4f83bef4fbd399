import sys
from contextlib import nullcontext
from pathlib import Path

from django.core.management.base import BaseCommand

from ecs.documents import vault
from ecs.users.utils import get_user


class Command(BaseCommand):
    help = "Stores a file (- for standard input) in the vault and prints its uuid."

    def add_arguments(self, parser):
        parser.add_argument("file")
        parser.add_argument("--user", required=True, help="email of the owner")
        parser.add_argument("--name", help="name of the document, if not the file's")

    def handle(self, file, user, name, **options):
        with nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as source:
            chunks = iter(lambda: source.read(65536), b"")
            document = vault.store(name or Path(file).name, chunks, get_user(user))
        self.stdout.write(str(document.uuid))
