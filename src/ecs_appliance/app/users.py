"""Create, list and disable users of the application from the host."""

import secrets
import string
from dataclasses import dataclass
from datetime import datetime

from ecs_appliance.app.arguments import checked_address, checked_gender, checked_known_address, checked_name
from ecs_appliance.app.shell import Send, run_script
from ecs_appliance.core.log import register_secret

# 85 bits with a length of 17; without characters that are easily confused when read from paper.
PASSWORD_ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("l1o0")))
PASSWORD_LENGTH = 17

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
        before = None
        if user is None:
            user = create_user(data['email'])
        else:
            before = user.get_full_name()
            if not data['reset']:
                kind = 'internal' if user.profile.is_internal else 'external'
                raise Refused('user %s already exists: %s, %s, %s' % (
                    user.email, before or 'without a name', kind, 'active' if user.is_active else 'disabled'),
                    '--reset sets a new password and these names, and enables the user as an internal one')
        user.groups.add(Group.objects.get(name='EC-Office'))
        user = User.objects.get(pk=user.pk)
        user.first_name, user.last_name, user.is_active = data['first_name'], data['last_name'], True
        user.set_password(data['password'])
        user.save()
        profile = user.profile
        profile.gender, profile.is_internal = data['gender'], True
        profile.save()
    return {'email': user.email, 'before': before}
"""
LIST_USERS = """
from collections import Counter
from django.contrib.auth.models import User
from django.utils import timezone
from ecs.pki.models import Certificate

def main(data):
    valid = Certificate.objects.filter(revoked_at=None, expires_at__gt=timezone.now())
    certificates = Counter(valid.values_list('user_id', flat=True))
    fields = ('pk', 'email', 'first_name', 'last_name', 'is_active', 'last_login',
              'profile__is_internal', 'profile__is_testuser')
    return {'users': [{
        'email': email, 'first_name': first, 'last_name': last, 'internal': bool(internal), 'test': bool(test),
        'active': active, 'last_login': login.isoformat() if login else None, 'certificates': certificates[pk],
    } for pk, email, first, last, active, login, internal, test
        in User.objects.order_by('email').values_list(*fields)]}
"""
# Before Django 1.10, sessions of inactive users went on. If sessions are not stored in a table, an unusable password
# ends them, since they contain a digest of the password hash.
DISABLE_USER = """
import time
from importlib import import_module
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone
from ecs.pki.models import Certificate

def end_sessions(store, user):
    running = Session.objects.filter(expire_date__gt=timezone.now())
    keys = [session.session_key for session in running.iterator()
            if str(session.get_decoded().get('_auth_user_id')) == str(user.pk)]
    for key in keys:
        store(key).delete()
    return len(keys)

def main(data):
    user = User.objects.filter(email__iexact=data['email']).first()
    if user is None:
        raise Refused('no such user: ' + data['email'], 'appliance user list --all shows all users')
    was_active, ended = user.is_active, None
    store = import_module(settings.SESSION_ENGINE).SessionStore
    user.is_active = False
    if not issubclass(store, db.SessionStore):
        user.set_unusable_password()
    user.save(update_fields=['is_active', 'password'])
    if issubclass(store, db.SessionStore):
        ended = end_sessions(store, user)
        time.sleep(1)  # who was let in just before has a session by now
        ended += end_sessions(store, user)
    valid = Certificate.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())
    return {'email': user.email, 'was_active': was_active, 'sessions': ended,
            'certificates': list(valid.order_by('cn').values_list('cn', flat=True))}
"""
DISABLE_TEST_USERS = """
from django.contrib.auth.models import User

def main(data):
    return {'count': User.objects.filter(profile__is_testuser=True, is_active=True).update(is_active=False)}
"""


@dataclass(frozen=True)
class User:
    """A user of the application; `certificates` counts the valid ones, `test` marks the application's test users."""

    email: str
    first_name: str
    last_name: str
    internal: bool
    test: bool
    active: bool
    last_login: datetime | None
    certificates: int


@dataclass(frozen=True)
class Created:
    """An internal user with a new password; `before` is the previous name of an existing user, None for a new one."""

    email: str
    password: str
    before: str | None


@dataclass(frozen=True)
class Disabled:
    """A user who can no longer log in.

    `sessions` is the number of sessions that were ended; None if the application does not list its sessions, which
    were then ended by making the password unusable. `certificates` are the names of those that are still valid.
    """

    email: str
    was_active: bool
    sessions: int | None
    certificates: tuple[str, ...]


def create_internal_user(send: Send, email: str, first: str, last: str, gender: str, *, reset: bool = False) -> Created:
    """Create `email` as an internal user of the group EC-Office, with a new password.

    An existing user with that address, ignoring case, is changed only with `reset`. `send` is `shell.in_web(runner)`.
    Raise ArgumentError, NotRunningError, RefusedError or ApplianceError.
    """
    data = {
        "email": checked_address(email),
        "first_name": checked_name("first name", first),
        "last_name": checked_name("last name", last),
        "gender": checked_gender(gender),
        "password": "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_LENGTH)),
        "reset": reset,
    }
    register_secret(str(data["password"]))
    answer = run_script(send, CREATE_USER, data)
    return Created(answer["email"], str(data["password"]), answer["before"])


def list_users(send: Send) -> list[User]:
    """Return all users by address, internal ones first, test users last. Raise NotRunningError or ApplianceError."""
    rows = run_script(send, LIST_USERS, {})["users"]
    users = [User(**{**user, "last_login": _time(user["last_login"])}) for user in rows]
    return sorted(users, key=lambda user: (user.test, not user.internal, user.email.lower()))


def disable_user(send: Send, email: str) -> Disabled:
    """Deactivate the user `email` and end its sessions. Raise as `create_internal_user` does."""
    answer = run_script(send, DISABLE_USER, {"email": checked_known_address(email)})
    return Disabled(**{**answer, "certificates": tuple(answer["certificates"])})


def disable_test_users(send: Send) -> int:
    """Deactivate the test users that each bootstrap creates; return how many were active."""
    return int(run_script(send, DISABLE_TEST_USERS, {})["count"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
