import sys

from django.core.management.base import BaseCommand

from ecs.users.utils import create_user


class Command(BaseCommand):
    help = "Makes an external user; the password comes from standard input."

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--first-name", default="")
        parser.add_argument("--last-name", default="")

    def handle(self, email, first_name, last_name, **options):
        user = create_user(email, first_name=first_name, last_name=last_name)
        user.set_password(sys.stdin.readline().rstrip("\n"))
        user.save()
