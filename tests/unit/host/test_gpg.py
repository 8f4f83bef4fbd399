"""Parse gpg's listings, including those that only look like one."""

import pytest

from ecs_appliance.host.gpg import ListedKey, parse

FIRST, SECOND = "A" * 40, "B" * 40


def record(kind: str, tenth: str = "", *, validity: str = "-", number: str = "1111111111111111") -> str:
    return f"{kind}:{validity}:2048:1:{number}:2020-01-01:::-:{tenth}::scESC:"


def listing(*lines: str) -> str:
    return "\n".join(("tru::1:0:0:3:1:5", *lines, ""))


def test_keys_are_what_the_listing_has() -> None:
    text = listing(
        *(record("pub"), record("fpr", FIRST), record("uid", "ecs_mediaserver"), record("sub", number="2" * 16)),
        *(record("sec"), record("fpr", SECOND), record("uid", "one"), record("uid", "two")),
    )
    assert parse(text) == [
        ListedKey(FIRST, False, ("ecs_mediaserver",), ("1" * 16, "2" * 16)),
        ListedKey(SECOND, True, ("one", "two"), ("1" * 16,)),
    ]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x1c", "\r", "\x0b", "\x0c"])
def test_a_name_cannot_begin_a_line(separator: str) -> None:
    forged = separator.join(("x", record("sec"), record("fpr", SECOND)))
    assert [key.fingerprint for key in parse(listing(record("pub"), record("fpr", FIRST), record("uid", forged)))] == [
        FIRST
    ]


def test_only_the_record_after_a_key_is_its_fingerprint() -> None:
    subkey = (record("sub"), record("fpr", SECOND))
    assert [key.fingerprint for key in parse(listing(record("pub"), record("fpr", FIRST), *subkey))] == [FIRST]
    assert parse(listing(record("pub"), record("uid", "x"), record("fpr", FIRST))) == []
    assert parse(listing(record("fpr", FIRST))) == []


@pytest.mark.parametrize("fingerprint", ["", "0" * 40, "C" * 32, "C" * 41])
def test_keys_without_a_fingerprint_that_tells_them_apart_are_none(fingerprint: str) -> None:
    assert parse(listing(record("pub"), record("fpr", fingerprint))) == []


@pytest.mark.parametrize(("validity", "usable"), [("-", True), ("u", True), ("", True), ("r", False), ("e", False)])
def test_a_key_that_gpg_passes_over_is_not_usable(validity: str, usable: bool) -> None:
    assert parse(listing(record("pub", validity=validity), record("fpr", FIRST)))[0].usable is usable


def test_lines_that_are_cut_off_are_no_keys() -> None:
    assert parse("pub:u\nfpr:x\nsec\n:\n") == []
