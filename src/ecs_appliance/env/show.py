"""Shows an environment to people, including defaults and without secrets."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from ecs_appliance.env.formats import URL
from ecs_appliance.env.model import Env, Section

MASK = "*****"
# Words in keys below storage.setup whose values are secret.
SECRET_WORDS = re.compile("pass|secret|key", re.IGNORECASE)


def show(env: Env) -> dict[str, str]:
    """Return every dotted key of `env` with its value; MASK replaces secrets, and passwords in URLs."""
    return dict(_values(env, ""))


def _values(section: Section, path: str) -> Iterator[tuple[str, str]]:
    for name in type(section).model_fields:
        yield from _shown(getattr(section, name), f"{path}.{name}" if path else name)


def _shown(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case Section():
            yield from _values(value, path)
        case tuple() | list():
            for index, item in enumerate(value):
                yield from _shown(item, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                below = f"{path}.{key}"
                yield from [(below, MASK)] if SECRET_WORDS.search(str(key)) else _shown(item, below)
        case SecretStr():
            yield path, _masked(value.get_secret_value())
        case bool():
            yield path, "true" if value else "false"
        case _:
            yield path, without_password(str(value))


def without_password(text: str) -> str:
    """Replace the password or key in `text` with MASK if it is a URL; else return it unchanged."""
    if not URL.fullmatch(text):
        return text
    masked = re.sub(r"(://[^/@:]*):[^/@]*@", rf"\1:{MASK}@", text)
    return re.sub(r"^(https?://)[^/@]*@", rf"\1{MASK}@", masked)


def _masked(text: str) -> str:
    if not text:
        return ""
    return without_password(text).partition("?")[0] if URL.fullmatch(text) else MASK
