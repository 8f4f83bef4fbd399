"""Users and client certificates of the application, made from outside."""

import base64
import re
import secrets
import string
from dataclasses import dataclass

from ecs_appliance.app.shell import Send, run_script
from ecs_appliance.core.errors import ApplianceError, ExitCode
from ecs_appliance.core.log import register_secret

# 80 bits, easily read from paper: no letter that looks like a digit.
PASSWORD_ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("l1o0")))
PASSWORD_LENGTH = 17
ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
LONGEST_ADDRESS = 254
LONGEST_NAME = 64
MOST_DAYS = 3650

CREATE_USER = """
from django.contrib.auth.models import Group, User
from django.db import transaction
from ecs.users.utils import create_user

def main(data):
    for field in ('first_name', 'last_name', 'email'):
        longest = User._meta.get_field(field).max_length
        if longest and len(data[field]) > longest:
            raise Refused('%s is longer than %d characters' % (field.replace('_', ' '), longest))
    with transaction.atomic():
        user = User.objects.filter(email__iexact=data['email']).first()
        created = user is None
        if created:
            user = create_user(data['email'])
        user.groups.add(Group.objects.get(name='EC-Office'))
        user = User.objects.get(pk=user.pk)
        user.first_name, user.last_name, user.is_active = data['first_name'], data['last_name'], True
        user.set_password(data['password'])
        user.save()
        profile = user.profile
        profile.gender, profile.is_internal = data['gender'], True
        profile.save()
    return {'created': created}
"""
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
        raise Refused('there is no user ' + data['email'])
    if Certificate.objects.filter(cn=data['name']).exists():
        raise Refused('there is a certificate named %s already: choose another name' % data['name'])
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
                raise Refused('it could not be mailed, so none was made: %s' % error)
    return {'passphrase': passphrase, 'pkcs12': base64.b64encode(pkcs12).decode('ascii')}
"""
DISABLE_TEST_USERS = """
from django.contrib.auth.models import User

def main(data):
    return {'count': User.objects.filter(profile__is_testuser=True, is_active=True).update(is_active=False)}
"""


class ArgumentError(ApplianceError):
    """What is asked for cannot be; nothing was touched."""

    exit_code = ExitCode.USAGE


def create_internal_user(send: Send, email: str, first: str, last: str, gender: str) -> str:
    """Make `email` an internal user of the group EC-Office, or update the one there is; returns its new password.

    `send` is `shell.in_web(runner)`. Raises ArgumentError, NotRunningError, ApplianceError.
    """
    data = {
        "email": _checked_address(email),
        "first_name": _checked_name("first name", first),
        "last_name": _checked_name("last name", last),
        "gender": _checked_gender(gender),
        "password": "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_LENGTH)),
    }
    register_secret(data["password"])
    run_script(send, CREATE_USER, data)
    return data["password"]


@dataclass(frozen=True)
class ClientCertificate:
    """A PKCS #12 file (RC2-40 and 3DES: OpenSSL 3 needs -legacy) and the passphrase that opens it."""

    pkcs12: bytes
    passphrase: str

    def __repr__(self) -> str:
        return "ClientCertificate(…)"


def create_client_certificate(
    send: Send, email: str, name: str, days: int, *, send_to: str = "", mail: bool = True
) -> ClientCertificate:
    """Make a client certificate `name` for the user `email`, valid for `days`, and return it.

    With `mail` it is sent to the user, or to `send_to`; where that fails, none is made. Raises as
    `create_internal_user` does.
    """
    data = {
        "email": _checked_address(email),
        "name": _checked_certificate_name(name),
        "days": _checked_days(days),
        "send_to": _checked_address(send_to) if send_to else "",
        "mail": mail,
    }
    answer = run_script(send, CREATE_CERTIFICATE, data)
    register_secret(answer["passphrase"])
    return ClientCertificate(base64.b64decode(answer["pkcs12"]), answer["passphrase"])


def disable_test_users(send: Send) -> int:
    """Deactivate the users that each bootstrap makes for tests; returns how many were active."""
    return int(run_script(send, DISABLE_TEST_USERS, {})["count"])


def _checked_address(email: str) -> str:
    if len(email) > LONGEST_ADDRESS or not ADDRESS.fullmatch(email):
        raise ArgumentError(f"{email!r} is no mail address", "it looks like name@example.org")
    return email


def _checked_name(kind: str, name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ArgumentError(f"{name!r} is no {kind}", "one line of text is needed")
    return name.strip()


def _checked_gender(gender: str) -> str:
    if gender.lower() not in ("f", "m"):
        raise ArgumentError(f"{gender!r} is no gender that the application knows", "f or m")
    return gender.lower()


def _checked_certificate_name(name: str) -> str:
    """It becomes part of an openssl subject, a mail's subject and a file's name."""
    plain = name == name.strip() and name.isprintable() and not set(name) & set('/\\+="<>,;')
    if not plain or not name or name.startswith(".") or len(name.encode()) > LONGEST_NAME:
        raise ArgumentError(
            f"{name!r} is no name for a certificate", "letters, digits, blanks, - and _, up to 64 bytes"
        )
    return name


def _checked_days(days: int) -> int:
    if not 1 <= days <= MOST_DAYS:
        raise ArgumentError(f"a certificate cannot be valid for {days} days", f"1 to {MOST_DAYS}")
    return days
