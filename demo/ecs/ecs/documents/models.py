import uuid

from django.contrib.auth.models import User
from django.db import models


class Document(models.Model):
    """One file in the vault. The row comes last: what it names is on the disk."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=250)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    vault_sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(User, models.PROTECT, related_name="documents")
    uploaded_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-uploaded_at"]
