import os

from django.core.management.base import BaseCommand

from ecs.documents import vault
from ecs.documents.models import Document
from ecs.users.utils import get_user


class Command(BaseCommand):
    help = "Stores N documents of random content, for trials."

    def add_arguments(self, parser):
        parser.add_argument("count", type=int)
        parser.add_argument("--user", default="presenter1@example.org", help="email of the owner")
        parser.add_argument("--kilobytes", type=int, default=64, help="size of each")

    def handle(self, count, user, kilobytes, **options):
        owner = get_user(user)
        first = Document.objects.count() + 1
        for number in range(first, first + count):
            chunks = (os.urandom(1024) for _ in range(kilobytes))
            vault.store(f"document-{number:06}.bin", chunks, owner)
        self.stdout.write(f"{count} documents of {kilobytes} kB stored")
