"""The model as a tree of keys, used to check for unknown keys, to mask secrets and for documentation."""

import difflib
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ecs_appliance.env import formats
from ecs_appliance.env.model import Env, Section


@dataclass(frozen=True)
class KeySpec:
    """A leaf of the model. `path` is dotted; `[]` in it means every item of a list."""

    path: str
    kind: str
    field: FieldInfo

    @property
    def needed(self) -> bool:
        """Whether a file without it is invalid."""
        extra = self.field.json_schema_extra
        return self.field.is_required() or (isinstance(extra, dict) and bool(extra.get("needed")))

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.field.annotation is SecretStr

    @property
    def default(self) -> object:
        """The default as plain data; None if the key is needed."""
        if self.needed:
            return None
        value = self.field.get_default(call_default_factory=True, validated_data={})
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def section_of(annotation: Any) -> type[Section] | None:
    """Return `annotation` if it is a section, else None."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def item_of(annotation: Any) -> Any:
    """Return the annotation of the items if `annotation` is a list, else None."""
    if typing.get_origin(annotation) is not tuple:
        return None
    item = typing.get_args(annotation)[0]
    return typing.get_args(item)[0] if typing.get_origin(item) is typing.Annotated else item


def keys(section: type[Section] = Env, path: str = "") -> Iterator[KeySpec]:
    """Yield every leaf below `section`, in the order of the model."""
    for name, field in section.model_fields.items():
        below = f"{path}.{name}" if path else name
        inner = section_of(field.annotation)
        item = section_of(item_of(field.annotation))
        if inner:
            yield from keys(inner, below)
        elif item:
            yield from keys(item, f"{below}[]")
        else:
            yield KeySpec(below, _kind(field.annotation), field)


def suggest_key(key: str, path: str, section: type[Section]) -> str:
    """Return the dotted key probably meant by the unknown `key` of `section` at `path`; empty if none is close."""
    close = difflib.get_close_matches(key.lower(), section.model_fields, n=1)
    if close:
        return f"{path}.{close[0]}" if path else close[0]
    return next((known for known in _paths(Env, "") if known.rpartition(".")[2] == key.lower()), "")


def _paths(section: type[Section], path: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        below = f"{path}.{name}" if path else name
        yield below
        inner = section_of(field.annotation)
        if inner:
            yield from _paths(inner, below)


def _kind(annotation: Any) -> str:
    if item_of(annotation):
        return "list of texts"
    if typing.get_origin(annotation) is dict:
        return "mapping or text"
    return {bool: "true or false", int: "number", SecretStr: "secret text"}.get(annotation, "text")


def secrets(section: Section) -> Iterator[str]:
    """Yield every secret in `section` that is set; of a URL only the password or key in it."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Section):
                yield from secrets(item)
            elif isinstance(item, SecretStr) and item.get_secret_value().strip():
                yield from _confidential(item.get_secret_value())


def _confidential(text: str) -> tuple[str, ...]:
    if not formats.URL.fullmatch(text):
        return (text,)
    found = formats.USER_INFO.search(text)
    if not found:
        return ()
    user, _, password = found["user"].partition(":")
    # A lone user name is a key in web URLs, as in Sentry's DSN, and a user in others.
    opens = password or (user if found["scheme"].startswith("http") else "")
    return (opens,) if opens else ()
