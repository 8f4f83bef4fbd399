from django.conf import settings
from django.core.mail import EmailMessage, get_connection, make_msgid
from django.utils import timezone

from ecs.communication.models import SentMail


def deliver(recipient_list, *args, **kwargs):
    """Send one mail to each recipient; return a list of (message id, message)."""
    recipients = [recipient_list] if isinstance(recipient_list, str) else recipient_list
    return [deliver_to_recipient(recipient, *args, **kwargs) for recipient in recipients]


def deliver_to_recipient(recipient, subject, message, from_email, attachments=None, nofilter=False):
    """Send one mail; `attachments` are (name, content, MIME type). `nofilter` sends it even if mail is only logged."""
    message_id = make_msgid()
    record = SentMail.objects.create(message_id=message_id, recipient=recipient, subject=subject[:250], text=message)
    mail = EmailMessage(subject, message, from_email, [recipient], headers={"Message-ID": message_id},
                        attachments=attachments,
                        connection=get_connection(settings.EMAIL_BACKEND_UNFILTERED if nofilter else None))
    mail.send()
    record.sent_at = timezone.now()
    record.save()
    return message_id, mail.message()
