import uuid

from django.contrib.auth.models import User
from django.db import models
from django.db.models.signals import post_delete
from django.dispatch import receiver


class Document(models.Model):
    """One file in the vault. The row is written last, so that the file it names is on the disk."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=250)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    vault_sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(User, models.PROTECT, related_name="documents")
    uploaded_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-uploaded_at"]

    def retrieve_raw(self):
        """Return the decrypted and verified content as an open file, without recording a download."""
        from ecs.documents import vault

        return vault.open_document(self)


@receiver(post_delete, sender=Document)
def remove_file(sender, instance, **kwargs):
    from ecs.documents import vault

    vault.path_of(instance.uuid).unlink()
