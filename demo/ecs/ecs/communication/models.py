from django.db import models


class SentMail(models.Model):
    """A sent mail, without its attachments."""

    message_id = models.CharField(max_length=250)
    recipient = models.CharField(max_length=250)
    subject = models.CharField(max_length=250)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)


class ReceivedMail(models.Model):
    """A mail received by smtpd: raw at first, parsed by the worker later."""

    thread = models.UUIDField(db_index=True)
    sender = models.CharField(max_length=250)
    raw = models.BinaryField()
    received_at = models.DateTimeField(auto_now_add=True)
    filed_at = models.DateTimeField(null=True)
    subject = models.CharField(max_length=250, blank=True)
    text = models.TextField(blank=True)
