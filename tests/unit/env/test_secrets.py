"""Secrets can be used, but are not shown."""

import logging
from pathlib import Path

import pytest

from ecs_appliance.core.log import MaskingFormatter
from ecs_appliance.env.activation import protect
from ecs_appliance.env.check import load
from ecs_appliance.env.model import Env
from ecs_appliance.env.schema_walk import secrets
from ecs_appliance.env.show import MASK, show

ACCEPTED = Path(__file__).parents[2] / "fixtures/env/accepted"


@pytest.fixture
def env() -> Env:
    return load(ACCEPTED / "everything.yml")


def test_the_text_of_the_model_shows_none(env: Env) -> None:
    shown = f"{env!r} {env}"
    assert all(secret not in shown for secret in secrets(env))
    assert "/dev/vdb" not in shown
    assert "ecs.example.org" in shown


def test_show_masks_them(env: Env) -> None:
    values = show(env)
    assert values["appliance.domain"] == "ecs.example.org"
    assert values["appliance.metric.gui"] == "true"
    assert values["appliance.extra.files[0].permissions"] == "1777"
    assert values["appliance.backup.url"] == f"rest:https://user:{MASK}@backup.example.org/"
    assert values["appliance.sentry.dsn"] == f"https://{MASK}@sentry.example.org/1"
    assert values["ecs.vault_sign"] == values["ecs.settings"] == values["appliance.backup.encrypt"] == MASK
    assert all(secret not in " ".join(values.values()) for secret in secrets(env))


def test_show_masks_the_passwords_of_encrypted_volumes() -> None:
    setup = "{crypt: {/dev/vdb: {password: correct-horse, target: x}}}"
    text = f"#cloud-config\nappliance:\n  standby: true\n  storage: {{setup: {setup}}}\n"
    values = show(load(text.encode()))
    assert values["appliance.storage.setup.crypt./dev/vdb.password"] == MASK
    assert values["appliance.storage.setup.crypt./dev/vdb.target"] == "x"


def test_show_masks_the_password_of_any_url() -> None:
    source = "https://me:correct-horse@git.example.org/ecs.git"
    text = f"#cloud-config\nappliance: {{standby: true}}\necs: {{git: {{source: '{source}'}}}}\n"
    assert show(load(text.encode()))["ecs.git.source"] == f"https://{MASK}@git.example.org/ecs.git"


def test_the_log_of_who_loaded_it_masks_them(env: Env) -> None:
    protect(env)
    line = env.ecs.vault_sign.get_secret_value().splitlines()[5]
    record = logging.LogRecord("x", logging.INFO, "x", 1, "a %s b %s c", (line, "correct-horse"), None)
    assert MaskingFormatter(journal=False).format(record) == "a ***** b ***** c"


def test_the_words_of_states_stay_readable_in_the_log(env: Env) -> None:
    protect(env)
    record = logging.LogRecord("x", logging.INFO, "x", 1, "State test.nop: [] failed", (), None)
    assert MaskingFormatter(journal=False).format(record) == "State test.nop: [] failed"
