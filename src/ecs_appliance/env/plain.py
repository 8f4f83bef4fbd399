"""An environment as plain data, secrets revealed: for the states that write them where they belong."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr


def plain(value: object) -> Any:
    """`value` (a model, or anything in one) as mappings, lists and scalars, secrets revealed."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in value}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def public(value: object) -> Any:
    """`value` as `plain` has it, without its secrets."""
    if isinstance(value, BaseModel):
        return {name: public(item) for name, item in value if not isinstance(item, SecretStr)}
    if isinstance(value, Mapping):
        return {str(name): public(item) for name, item in value.items() if not isinstance(item, SecretStr)}
    if isinstance(value, list | tuple):
        return [public(item) for item in value if not isinstance(item, SecretStr)]
    return plain(value)
