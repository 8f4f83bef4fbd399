import asyncio

from django.core.management.base import BaseCommand

from ecs.communication import smtpd


class Command(BaseCommand):
    help = "Receives mail on port 8025."

    def handle(self, *args, **options):
        asyncio.run(smtpd.serve())
