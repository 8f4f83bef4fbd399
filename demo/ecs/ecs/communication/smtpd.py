"""Receive replies to the application's mails, to one recipient ecs-<thread>@domain, and store each as a record."""
import asyncio
import logging
import re
from uuid import UUID

from aiosmtpd.smtp import SMTP
from django.conf import settings
from django.db import DatabaseError, connection

from ecs.communication.models import ReceivedMail

logger = logging.getLogger(__name__)
RECIPIENT = re.compile(r"ecs-([0-9a-f]{32})@(.+)", re.IGNORECASE)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient a message"
        match = RECIPIENT.fullmatch(address)
        if not match or match[2].lower() != settings.SMTPD_CONFIG["domain"].lower():
            return "550 5.1.1 no such recipient"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        try:
            await asyncio.to_thread(store_and_disconnect, envelope)
        except DatabaseError as error:
            logger.error("not stored: %s", error)
            return "451 4.3.0 try again later"
        return "250 2.0.0 stored"


def store_and_disconnect(envelope) -> None:
    """Store a mail, and close the thread's database connection: mail is rare, so none needs to stay open."""
    try:
        store(envelope)
    finally:
        connection.close()


def store(envelope) -> None:
    thread = UUID(RECIPIENT.fullmatch(envelope.rcpt_tos[0])[1])
    mail = ReceivedMail.objects.create(thread=thread, sender=(envelope.mail_from or "")[:250], raw=envelope.content)
    logger.info("mail %d: %d bytes from %s", mail.pk, len(envelope.content), mail.sender)


async def serve() -> None:
    def protocol():
        return SMTP(Handler(), data_size_limit=config["max_size"], hostname=config["domain"], ident="ECS")

    config = settings.SMTPD_CONFIG
    host, port = config["listen_addr"]
    server = await asyncio.get_running_loop().create_server(protocol, host, port)
    logger.info("listening on port %d", port)
    await server.serve_forever()
