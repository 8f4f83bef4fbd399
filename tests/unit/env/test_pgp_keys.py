"""What can be read from a private key without gpg."""

from pathlib import Path

import pytest

from ecs_appliance.env.check import load
from ecs_appliance.env.model import Env
from ecs_appliance.env.pgp_keys import private_key, read_private_key

ACCEPTED = Path(__file__).parents[2] / "fixtures/env/accepted"


@pytest.fixture
def env() -> Env:
    return load(ACCEPTED / "swapped-vault-keys.yml")


def test_a_key_of_gpg_1_4_is_told_from_a_newer_one(env: Env) -> None:
    old = read_private_key(env.appliance.backup.encrypt.get_secret_value())
    new = read_private_key(env.ecs.vault_encrypt.get_secret_value())
    assert (old.users, old.is_classic) == (("ecs_backup",), True)
    assert (new.users, new.is_classic) == (("ecs_mediaserver",), False)


def test_any_change_of_the_material_is_noticed(env: Env) -> None:
    text = env.appliance.backup.encrypt.get_secret_value()
    start, end = text.index("\n\n") + 2, text.index("\n-----END")
    places = [index for index in range(start, end) if text[index].isalnum()]
    for index in places[:: len(places) // 50]:
        with pytest.raises(ValueError, match=r"damaged|expected"):
            private_key(f"{text[:index]}{'A' if text[index] != 'A' else 'B'}{text[index + 1 :]}")
