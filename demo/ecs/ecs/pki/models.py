import secrets
import string

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

PASSPHRASE_CHARS = string.ascii_lowercase + string.digits
PASSPHRASE_LENGTH = 16  # 82 bits


class CertificateAuthority(models.Model):
    """The only CA. Anyone who can read the database can issue certificates."""

    key = models.TextField()
    cert = models.TextField()


class Certificate(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="certificates")
    cn = models.CharField(max_length=64, unique=True)
    subject = models.TextField()
    serial = models.IntegerField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    @classmethod
    def create_for_user(cls, pkcs12, user, cn=None, days=None):
        """Write the file at path `pkcs12`; return (certificate, passphrase of that file)."""
        from ecs.pki import authority

        passphrase = "".join(secrets.choice(PASSPHRASE_CHARS) for _ in range(PASSPHRASE_LENGTH))
        cn = cn or user.get_full_name() or user.email
        serial = (cls.objects.aggregate(last=models.Max("serial"))["last"] or 0) + 1
        issued = authority.issue(cn, user.email, serial, days or 365)
        # the row first, so that a name that is already taken leaves no file
        certificate = cls.objects.create(
            user=user, cn=cn, serial=serial, subject=issued.subject, expires_at=issued.expires_at
        )
        issued.write_pkcs12(pkcs12, passphrase)
        return certificate, passphrase

    def revoke(self):
        from ecs.pki import authority

        assert self.revoked_at is None, "revoked already"
        self.revoked_at = timezone.now()
        self.save()
        authority.write_crl()
