from email import message_from_bytes, policy

from celery import shared_task
from django.utils import timezone

from ecs.communication.models import ReceivedMail


@shared_task
def file_received_mail():
    """Parse the mails that smtpd received; a mail that cannot be parsed is filed without text."""
    for mail in ReceivedMail.objects.filter(filed_at=None).order_by("pk"):
        message = message_from_bytes(bytes(mail.raw), policy=policy.default)
        body = message.get_body(("plain", "html"))
        mail.subject = clean(str(message["subject"] or ""))[:250]
        mail.text = clean(body.get_payload(decode=True).decode(errors="replace")) if body else ""
        mail.filed_at = timezone.now()
        mail.save()


def clean(text: str) -> str:
    """Return the text without NUL characters, which PostgreSQL does not accept."""
    return text.replace("\0", "").strip()
