import hashlib

from django.contrib.auth.models import User


def hash_email(email: str) -> str:
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()[:30]


def create_user(email: str, **fields) -> User:
    """Return a new user with an empty profile. Raise IntegrityError if the user exists."""
    return User.objects.create(username=hash_email(email), email=email, **fields)


def get_user(email: str) -> User:
    return User.objects.get(username=hash_email(email))
