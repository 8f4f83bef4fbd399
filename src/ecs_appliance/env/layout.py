"""The model seen as a tree of keys: for the check of unknown ones, for masking, for the documentation."""

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
class Key:
    """A leaf of the model. `path` is dotted, `[]` stands for every item of a list."""

    path: str
    kind: str
    field: FieldInfo

    @property
    def needed(self) -> bool:
        """Whether a file without it cannot be used."""
        extra = self.field.json_schema_extra
        return self.field.is_required() or (isinstance(extra, dict) and bool(extra.get("needed")))

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.field.annotation is SecretStr

    @property
    def default(self) -> object:
        """What holds where the key is left out, as plain data; None where it is needed."""
        if self.needed:
            return None
        value = self.field.get_default(call_default_factory=True, validated_data={})
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def section_of(annotation: Any) -> type[Section] | None:
    """The section that `annotation` is, if it is one."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def item_of(annotation: Any) -> Any:
    """The annotation of the items where `annotation` is a list, else None."""
    if typing.get_origin(annotation) is not tuple:
        return None
    item = typing.get_args(annotation)[0]
    return typing.get_args(item)[0] if typing.get_origin(item) is typing.Annotated else item


def keys(section: type[Section] = Env, path: str = "") -> Iterator[Key]:
    """Every leaf below `section`, in the order of the model."""
    for name, field in section.model_fields.items():
        below = f"{path}.{name}" if path else name
        inner = section_of(field.annotation)
        item = section_of(item_of(field.annotation))
        if inner:
            yield from keys(inner, below)
        elif item:
            yield from keys(item, f"{below}[]")
        else:
            yield Key(below, _kind(field.annotation), field)


def nearest(key: str, path: str, section: type[Section]) -> str:
    """The known key that was probably meant by the unknown `key` of `section` at `path`, dotted; may be empty."""
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
    """The text of every secret in `section` that is set; of a URL only what opens it."""
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
    # The name alone in a web address is a key, as Sentry has it; in others it is a user.
    opens = password or (user if found["scheme"].startswith("http") else "")
    return (opens,) if opens else ()
