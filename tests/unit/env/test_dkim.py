"""The DNS record matches the key."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key

from ecs_appliance.env import dkim


def test_the_record_holds_the_public_key() -> None:
    key = dkim.make_key()
    parts = re.findall('"([^"]*)"', dkim.record(key))
    assert all(len(part) <= 255 for part in parts)
    head, _, public = "".join(parts).partition("p=")
    assert head == "v=DKIM1; k=rsa; "
    private = load_pem_private_key(key.encode(), None)
    assert load_der_public_key(base64.b64decode(public)) == private.public_key()
    assert private.key_size == 2048  # type: ignore[union-attr]


def test_no_key_has_no_record() -> None:
    with pytest.raises(ValueError, match="expected a PEM private key"):
        dkim.record("")
