"""Converts an environment to plain data, with or without its secrets, for Salt states."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr


def dump_revealed(value: object) -> Any:
    """Convert `value` (a model or a value in one) to mappings, lists and scalars, with secrets in plain text."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: dump_revealed(item) for name, item in value}
    if isinstance(value, Mapping):
        return {str(name): dump_revealed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [dump_revealed(item) for item in value]
    return value


def dump_public(value: object) -> Any:
    """Convert `value` as `dump_revealed` does, but leave out secrets."""
    if isinstance(value, BaseModel):
        return {name: dump_public(item) for name, item in value if not isinstance(item, SecretStr)}
    if isinstance(value, Mapping):
        return {str(name): dump_public(item) for name, item in value.items() if not isinstance(item, SecretStr)}
    if isinstance(value, list | tuple):
        return [dump_public(item) for item in value if not isinstance(item, SecretStr)]
    return dump_revealed(value)
