from django.core.management.base import BaseCommand

from ecs.documents import gpg
from ecs.pki import authority
from ecs.users import bootstrap as users


class Command(BaseCommand):
    help = "Makes what a site needs besides its tables; doing it again changes nothing."

    def handle(self, *args, **options):
        created = users.create_groups() + users.create_testusers()
        gpg.import_default_keys()
        authority.write_files()
        self.stdout.write(f"bootstrap: {created} users and groups made, CA and revocation list written")
