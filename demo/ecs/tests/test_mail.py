import smtplib
import socket
import uuid
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from django.conf import settings
from django.core import mail
from django.test import TestCase

from ecs.communication import mailutils, smtpd
from ecs.communication.models import ReceivedMail, SentMail
from ecs.communication.tasks import file_received_mail
from ecs.integration.models import TaskTrace

THREAD = uuid.uuid4()
RECIPIENT = f"ecs-{THREAD.hex}@{settings.DOMAIN}"


class SmtpdTest(TestCase):
    """Only tests that need no database: it is in memory, and smtpd's threads cannot see it."""

    def setUp(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        controller = Controller(smtpd.Handler(), "127.0.0.1", port, data_size_limit=settings.SMTPD_CONFIG["max_size"])
        controller.start()
        self.addCleanup(controller.stop)
        self.client = self.enterContext(smtplib.SMTP("127.0.0.1", port))

    def codes(self, *recipients):
        self.client.ehlo()
        self.client.mail("someone@example.com")
        return [self.client.rcpt(recipient)[0] for recipient in recipients]

    def test_one_recipient_of_the_right_form(self):
        self.assertEqual(self.codes(RECIPIENT, RECIPIENT), [250, 452])

    def test_others_are_refused(self):
        name = f"ecs-{THREAD.hex}"
        strangers = [f"office@{settings.DOMAIN}", f"{name}@example.com", f"{name[:-1]}@{settings.DOMAIN}"]
        self.assertEqual(self.codes(*strangers), [550, 550, 550])

    def test_too_large(self):
        with self.assertRaises(smtplib.SMTPResponseException) as refusal:
            self.client.sendmail("someone@example.com", RECIPIENT, b"x" * (settings.SMTPD_CONFIG["max_size"] + 1))
        self.assertEqual(refusal.exception.smtp_code, 552)


class Envelope:
    rcpt_tos, mail_from = [RECIPIENT], "someone@example.com"

    def __init__(self, content):
        self.content = content


class MailTest(TestCase):
    def received(self, content: bytes) -> ReceivedMail:
        smtpd.store(Envelope(content))
        file_received_mail.delay()
        return ReceivedMail.objects.get()

    def test_becomes_a_record(self):
        message = EmailMessage()
        message["Subject"] = "Rückfrage"
        message.set_content("Schöne Grüße")
        record = self.received(bytes(message))
        self.assertEqual((record.thread, record.subject, record.text), (THREAD, "Rückfrage", "Schöne Grüße"))
        self.assertEqual(TaskTrace.objects.get().name, "ecs.communication.tasks.file_received_mail")

    def test_rubbish_is_filed_too(self):
        record = self.received(b"\x00\xff\r\nnonsense\r\n\r\n\x00\xfe")
        self.assertIsNotNone(record.filed_at)
        self.assertNotIn("\0", record.subject + record.text)

    def test_deliver(self):
        p12 = ("cert.p12", b"\0\1", "application/x-pkcs12")
        [(message_id, _)] = mailutils.deliver("a@example.com", "Zertifikat", "Text", "from@example.org",
                                              attachments=[p12], nofilter=True)
        self.assertEqual(mail.outbox[0].attachments, [p12])
        self.assertEqual(SentMail.objects.get(message_id=message_id).recipient, "a@example.com")

    def test_only_unfiltered_mail_leaves_a_site_that_logs_its_mail(self):
        with self.settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend"):
            mailutils.deliver("a@example.com", "logged", "Text", "from@example.org")
            mailutils.deliver("a@example.com", "sent", "Text", "from@example.org", nofilter=True)
        self.assertEqual([message.subject for message in mail.outbox], ["sent"])
