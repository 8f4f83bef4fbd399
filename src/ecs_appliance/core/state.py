"""State files: state stored as JSON in one common format that survives both updates and rollbacks.

Fields unknown to a release are ignored, and missing ones get their defaults. So a field must never change its meaning,
and one added later needs a default. They are parsed by hand, not by pydantic: importing pydantic takes a quarter of a
second, and it rejects lone surrogates, which Python uses in file names that are not UTF-8.
"""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.files import write_atomic

log = logging.getLogger(__name__)

T = TypeVar("T")

DAMAGED = ".damaged"


@dataclass(frozen=True)
class StateFile(Generic[T]):
    """The file `path` with permissions `mode`, holding a `kind`: a dataclass, or a dict, list or tuple of JSON values.

    A damaged file is logged, set aside as NAME.damaged (see `find_damaged`) and treated as missing. Where that would be
    dangerous, `remedy` says what to do: then the file stays, and reading it fails.
    """

    path: Path
    kind: type[T]
    mode: int = 0o600
    remedy: str = ""

    def read(self) -> T | None:
        """Return the stored value, None if there is none. Raise ApplianceError with the remedy, or OSError."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found: T = _typed(self.kind, json.loads(data))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            if self.remedy:
                raise ApplianceError(f"{self.path} is damaged: {error}", self.remedy) from None
            self._set_aside(error)
            return None
        return found

    def write(self, value: T) -> None:
        """Store `value` atomically and durably. Raise OSError."""
        write_atomic(self.path, self.dump(value), mode=self.mode)

    def dump(self, value: T) -> str:
        """Return `value` as `write` stores it."""
        return json.dumps(value, default=asdict)

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _set_aside(self, reason: Exception) -> None:
        aside = self.path.with_name(self.path.name + DAMAGED)
        try:
            self.path.replace(aside)
        except OSError as error:
            log.error("%s is damaged (%s) and cannot be set aside: %s", self.path, reason, error.strerror)
            return
        log.error(
            "%s was damaged (%s), so its content is no longer used; the file was moved to %s",
            self.path,
            reason,
            aside,
        )


def find_damaged(folders: Iterable[Path]) -> list[Path]:
    """Return the damaged state files set aside in `folders`."""
    return sorted(file for folder in folders for file in folder.glob(f"*{DAMAGED}"))


def _typed(kind: Any, value: Any, name: str = "the content") -> Any:
    """Convert the JSON value of the field `name` to `kind`. Raise ValueError or TypeError if it does not fit."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:  # only used as `X | None`
        return None if value is None else _typed(args[0], value, name)
    if isinstance(value, dict) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each: _typed(hints[each], value[each], each) for each in hints if each in value})  # type: ignore[operator] # a class
    if isinstance(value, dict) and origin in (dict, Mapping):
        return {each: _typed(args[1], value[each], each) for each in value}
    if isinstance(value, list) and origin in (list, tuple):
        kinds = args if origin is tuple and args[1:] != (...,) else args[:1] * len(value)
        return origin(_typed(*pair, name) for pair in zip(kinds, value, strict=True))
    if kind is float and type(value) is int:
        value = float(value)
    right = value in args if origin is Literal else type(value) is kind
    if not right or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is not of type {getattr(kind, '__name__', kind)}")
    return value
