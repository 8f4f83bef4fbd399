"""State files: what is remembered in JSON, of one kind for all; they outlive releases in both directions.

Fields that a release does not know are left out, and those that it misses get their defaults. So no field ever changes
its meaning, and one that is added later has a default. They are read by hand and not by pydantic: to import that takes
a quarter of a second, and it takes no text with half a surrogate in it, which is how Python names files that are not
UTF-8.
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
    """The file `path`, of `mode`, that holds a `kind`: a dataclass, or a dict, list or tuple of what JSON can hold.

    A damaged one is logged and set aside as NAME.damaged, see `find_damaged`, and counts as none. Where that would be
    dangerous, `remedy` says what to do: then it stays, and whoever reads it fails.
    """

    path: Path
    kind: type[T]
    mode: int = 0o600
    remedy: str = ""

    def read(self) -> T | None:
        """Return what was written last, None where that is nothing. Raises ApplianceError with the remedy, OSError."""
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
        """Remember `value`, over a power cut too. Raises OSError."""
        write_atomic(self.path, self.dump(value), mode=self.mode)

    def dump(self, value: T) -> str:
        """Return the text that `write` writes."""
        return json.dumps(value, default=asdict)

    def clear(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)

    def _set_aside(self, reason: Exception) -> None:
        aside = self.path.with_name(self.path.name + DAMAGED)
        try:
            self.path.replace(aside)
        except OSError as error:
            log.error("%s is damaged (%s), and cannot be set aside: %s", self.path, reason, error.strerror)
            return
        log.error("%s was damaged (%s) and is begun anew; what was there is in %s", self.path, reason, aside)


def find_damaged(folders: Iterable[Path]) -> list[Path]:
    """Return what was set aside in `folders`."""
    return sorted(file for folder in folders for file in folder.glob(f"*{DAMAGED}"))


def _typed(kind: Any, value: Any, name: str = "the whole") -> Any:
    """Return `value`, as JSON has it under `name`, as a `kind`. Raises ValueError or TypeError where it is none."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:  # with None alone
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
        raise ValueError(f"{name} is no {getattr(kind, '__name__', kind)}")
    return value
