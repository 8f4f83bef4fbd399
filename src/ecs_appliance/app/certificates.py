"""Create, list and revoke client certificates of the application's users from the host."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ecs_appliance.app.arguments import (
    checked_address,
    checked_certificate_name,
    checked_days,
    checked_known_address,
    checked_known_certificate_name,
    checked_subject_address,
)
from ecs_appliance.app.shell import Send, run_script
from ecs_appliance.core.log import register_secret

State = Literal["valid", "expired", "revoked"]

CREATE_CERTIFICATE = """
import base64, smtplib, tempfile
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from ecs.communication.mailutils import deliver
from ecs.pki.models import Certificate

def main(data):
    user = User.objects.filter(email__iexact=data['email']).first()
    if user is None:
        raise Refused('no such user: ' + data['email'], 'appliance user list --all shows all users')
    if Certificate.objects.filter(cn=data['name']).exists():
        raise Refused('a certificate named %s already exists' % data['name'], 'choose another name')
    with transaction.atomic(), tempfile.NamedTemporaryFile() as file:
        certificate, passphrase = Certificate.create_for_user(file.name, user, cn=data['name'], days=data['days'])
        with open(file.name, 'rb') as written:
            pkcs12 = written.read()
        if data['mail']:
            try:
                deliver([data['send_to'] or user.email], subject='Certificate ' + data['name'],
                        message='See attachment', from_email=settings.DEFAULT_FROM_EMAIL,
                        attachments=((data['name'] + '.p12', pkcs12, 'application/x-pkcs12'),), nofilter=True)
            except (OSError, smtplib.SMTPException) as error:
                raise Refused('mail failed, so no certificate was created: %s' % error, '--output FILE needs no mail')
    return {'passphrase': passphrase, 'pkcs12': base64.b64encode(pkcs12).decode('ascii')}
"""
DESCRIBE = """
def describe(certificate):
    revoked = certificate.revoked_at
    return {'name': certificate.cn, 'user': certificate.user.email, 'serial': certificate.serial,
            'created': certificate.created_at.isoformat(), 'expires': certificate.expires_at.isoformat(),
            'revoked': revoked.isoformat() if revoked else None}
"""
LIST_CERTIFICATES = f"""
from django.contrib.auth.models import User
from ecs.pki.models import Certificate
{DESCRIBE}
def main(data):
    found = Certificate.objects.select_related('user').order_by('cn')
    if data['email']:
        if not User.objects.filter(email__iexact=data['email']).exists():
            raise Refused('no such user: ' + data['email'], 'appliance user list --all shows all users')
        found = found.filter(user__email__iexact=data['email'])
    return {{'certificates': [describe(certificate) for certificate in found]}}
"""
# The application's revoke() saves, then writes the list of all revoked certificates that it sees: of two at a time,
# each could miss the other's. Locking the authority's row serializes them; an interrupted one is rolled back.
REVOKE_CERTIFICATES = f"""
from django.db import transaction
from ecs.pki.models import Certificate, CertificateAuthority
{DESCRIBE}
def main(data):
    with transaction.atomic():
        list(CertificateAuthority.objects.select_for_update())
        found = {{c.cn: c for c in Certificate.objects.select_related('user').filter(cn__in=data['names'])}}
        for name in data['names']:
            if name not in found:
                raise Refused('no such certificate: ' + name, 'appliance cert list --all shows all certificates')
        new = [name for name in data['names'] if found[name].revoked_at is None]
        for name in new:
            found[name].revoke()
    return {{'certificates': [describe(found[name]) for name in data['names']], 'new': new}}
"""


@dataclass(frozen=True)
class ClientCertificate:
    """A PKCS #12 file (RC2-40 and 3DES: OpenSSL 3 needs -legacy) and its passphrase."""

    pkcs12: bytes
    passphrase: str

    def __repr__(self) -> str:
        return "ClientCertificate(…)"


@dataclass(frozen=True)
class Certificate:
    """The application's record of a client certificate; `user` is a mail address, `revoked` since when, or None."""

    name: str
    user: str
    serial: int
    created: datetime
    expires: datetime
    revoked: datetime | None

    @property
    def serial_text(self) -> str:
        """The serial in the notation of nginx and openssl."""
        digits = f"{self.serial:X}"
        return digits.zfill(len(digits) + len(digits) % 2)

    def state(self, now: datetime | None = None) -> State:
        """Return its state at `now`, by default the current time."""
        if self.revoked:
            return "revoked"
        return "valid" if (now or datetime.now(UTC)) < self.expires else "expired"


@dataclass(frozen=True)
class Revoked:
    """A revoked certificate; `new` if it was not revoked before."""

    certificate: Certificate
    new: bool


def create_client_certificate(
    send: Send, email: str, name: str, days: int, *, send_to: str = "", mail: bool = True
) -> ClientCertificate:
    """Create a client certificate `name` for the user `email`, valid for `days`, and return it.

    With `mail` it is sent to the user, or to `send_to`; if that fails, it is not created. `send` is
    `shell.in_web(runner)`. Raise ArgumentError, NotRunningError, RefusedError or ApplianceError.
    """
    data = {
        "email": checked_subject_address(email),
        "name": checked_certificate_name(name),
        "days": checked_days(days),
        "send_to": checked_address(send_to) if send_to else "",
        "mail": mail,
    }
    answer = run_script(send, CREATE_CERTIFICATE, data)
    register_secret(answer["passphrase"])
    return ClientCertificate(base64.b64decode(answer["pkcs12"]), answer["passphrase"])


def list_certificates(send: Send, email: str | None = None) -> list[Certificate]:
    """Return the certificates of all users or of `email`, by name. Raise as `create_client_certificate` does."""
    data = {"email": None if email is None else checked_known_address(email)}
    return [_read(row) for row in run_script(send, LIST_CERTIFICATES, data)["certificates"]]


def revoke_certificates(send: Send, names: Sequence[str]) -> list[Revoked]:
    """Revoke the certificates `names`, all or none, and return them. Raise as `create_client_certificate` does.

    Those already revoked stay unchanged. nginx follows shortly afterwards, see `app.revocation`.
    """
    answer = run_script(send, REVOKE_CERTIFICATES, {"names": [checked_known_certificate_name(name) for name in names]})
    return [Revoked(_read(row), new=row["name"] in answer["new"]) for row in answer["certificates"]]


def _read(row: dict[str, Any]) -> Certificate:
    times = {name: row[name] and datetime.fromisoformat(row[name]) for name in ("created", "expires", "revoked")}
    return Certificate(**{**row, **times})
