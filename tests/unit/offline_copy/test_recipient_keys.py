"""What gpgkeys.txt contains, including everything in it that gpg would skip."""

import re
from base64 import encodebytes
from pathlib import Path

import pytest

from ecs_appliance.env.check import load
from ecs_appliance.offline_copy.recipient_keys import Recipient, read_keys

FIXTURES = Path(__file__).parents[2] / "fixtures/env"
BOTH = (FIXTURES / "gpgkeys.txt").read_text()
OFFICE = Recipient("8B279A661A07C93E9E9F7DF25E2D77FB986C445C", "Office <office@ecs.example.org>")
SAFE = Recipient("32E562C42AC8037554739ACB93E77CB12EDC4910", "Safe <safe@ecs.example.org>")
SECOND_BLOCK = BOTH.index("-----BEGIN", BOTH.index("-----END"))
LINE_OF_SECOND_BLOCK = BOTH[:SECOND_BLOCK].count("\n") + 1


def problems(text: str) -> tuple[str, ...]:
    return read_keys(text.encode()).problems


@pytest.mark.parametrize(
    "text",
    [BOTH, BOTH.replace("\n", "\r\n"), BOTH + BOTH, re.sub("(?m)^=.*\n", "", BOTH), re.sub("(?m)^", "  ", BOTH)],
    ids=["plain", "windows", "twice", "without checksums", "indented"],
)
def test_every_key_is_found_once(text: str) -> None:
    found = read_keys(text.encode())
    assert (found.recipients, found.problems) == ((OFFICE, SAFE), ())


def test_comments_of_any_encoding_may_stand_between_keys() -> None:
    found = read_keys("Büro\n".encode("latin-1") + BOTH.encode())
    assert (found.recipients, found.problems) == ((OFFICE, SAFE), ())


@pytest.mark.parametrize("text", ["", "# none yet\n", "\0\1\2", BOTH.encode("utf-16").decode("latin-1")])
def test_a_file_without_a_key_is_told_how_to_get_one(text: str) -> None:
    assert problems(text) == ("contains no PGP public key: gpg --armor --export NAME >> gpgkeys.txt",)


@pytest.mark.parametrize(
    "text",
    [
        BOTH[: BOTH.rindex("-----END")],
        BOTH[:-300],
        BOTH[:SECOND_BLOCK] + BOTH[SECOND_BLOCK:].replace("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", "", 1),
        BOTH[:SECOND_BLOCK] + BOTH[SECOND_BLOCK:].replace("fp4O", "fp4P"),
        BOTH[:SECOND_BLOCK] + BOTH[SECOND_BLOCK:].replace("-----BEGIN", "----BEGIN"),
        BOTH[:SECOND_BLOCK] + re.sub("(?m)^.*BEGIN.*\n|^.*END.*\n", "", BOTH[SECOND_BLOCK:]),
    ],
    ids=["no end", "cut off", "no begin", "a letter changed", "begin damaged", "neither begin nor end"],
)
def test_a_damaged_block_is_not_passed_over(text: str) -> None:
    found = problems(text)
    assert found
    assert all("damaged" in problem for problem in found)
    lines = [int(problem.split(":")[0].removeprefix("line ")) for problem in found]
    assert LINE_OF_SECOND_BLOCK <= min(lines) <= LINE_OF_SECOND_BLOCK + 2


def test_a_block_without_an_end_does_not_swallow_the_next() -> None:
    first_end = BOTH.index("-----END")
    found = read_keys((BOTH[:first_end] + BOTH[SECOND_BLOCK:]).encode())
    assert found.recipients == (SAFE,)
    assert found.problems == ("line 2: this PGP block is damaged or cut off",)


def test_a_private_key_is_named_and_not_shown() -> None:
    private = load(FIXTURES / "accepted/swapped-vault-keys.yml").appliance.backup.encrypt.get_secret_value()
    (problem,) = problems(f"{BOTH}\n{private}")
    assert re.fullmatch(
        r"line \d+: this is the private key [0-9A-F]{40} ecs_backup: only public keys belong here", problem
    )
    (problem,) = problems(private.replace("PRIVATE", "PUBLIC"))
    assert "this is the private key" in problem


@pytest.mark.parametrize("kind", ["MESSAGE", "SIGNATURE", "SIGNED MESSAGE"])
def test_a_block_of_another_kind_is_named(kind: str) -> None:
    text = f"{BOTH}-----BEGIN PGP {kind}-----\n\nAAAA\n-----END PGP {kind}-----\n"
    (problem,) = problems(text)
    assert problem.endswith(f"expected a PUBLIC KEY BLOCK, found a {kind}")


def test_a_user_id_cannot_steer_a_terminal() -> None:
    material = read_keys(BOTH.encode()).material.replace(b"Office", b"\x1b[31mO")
    armored = (
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{encodebytes(material).decode()}-----END PGP PUBLIC KEY BLOCK-----"
    )
    office, safe = read_keys(armored.encode()).recipients
    assert (office.user, safe) == ("?[31mO <office@ecs.example.org>", SAFE)
