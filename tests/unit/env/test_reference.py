"""The generated documentation matches the model, and the model matches the contract."""

import json
from pathlib import Path

from ecs_appliance.env.model import Appliance, Env
from ecs_appliance.env.reference import as_markdown, as_schema
from ecs_appliance.env.schema_walk import keys, suggest_key

DOCS = Path(__file__).parents[3] / "docs"


def test_the_table_of_keys_is_current() -> None:
    assert (DOCS / "env-reference.md").read_text() == as_markdown(), "appliance env reference --markdown"


def test_the_schema_is_current() -> None:
    assert (DOCS / "env.schema.json").read_text() == as_schema(), "appliance env reference --schema"


def test_the_schema_shows_no_default_of_a_secret() -> None:
    assert "**" not in as_schema()
    assert json.loads(as_schema())["properties"]["disable_root"]["default"] is False


def test_every_key_is_described() -> None:
    assert [key.path for key in keys() if not key.field.description] == []


def test_what_a_machine_can_not_start_without_is_needed() -> None:
    assert [key.path for key in keys() if key.needed and "[]" not in key.path] == [
        "appliance.domain",
        "appliance.backup.encrypt",
        "ecs.settings",
        "ecs.vault_encrypt",
        "ecs.vault_sign",
    ]


def test_the_nearest_key_is_looked_for_beside_and_then_elsewhere() -> None:
    assert suggest_key("domian", "appliance", Appliance) == "appliance.domain"
    assert suggest_key("vault_sign", "appliance", Appliance) == "ecs.vault_sign"
    assert suggest_key("xyzzy", "", Env) == ""
