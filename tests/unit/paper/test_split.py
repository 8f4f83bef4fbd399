from dataclasses import replace
from itertools import combinations

import pytest

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.paper.split import Scheme, decrypt, encrypt, make_shares, read_scheme, read_share

DIGEST = bytes(range(32))


@pytest.mark.parametrize("scheme", [Scheme(2, 2), Scheme(2, 3), Scheme(3, 5)])
def test_any_k_shares_open_it(scheme: Scheme) -> None:
    encrypted, key = encrypt(b"the whole file")
    shares = make_shares(key, scheme, DIGEST)
    assert len(shares) == scheme.total
    for chosen in combinations(shares, scheme.needed):
        assert decrypt(encrypted, chosen) == b"the whole file"
    assert decrypt(encrypted, list(reversed(shares))) == b"the whole file"


def test_fewer_do_not() -> None:
    encrypted, key = encrypt(b"the whole file")
    shares = make_shares(key, Scheme(3, 4), DIGEST)
    for chosen in combinations(shares, 2):
        with pytest.raises(ApplianceError, match="do not match"):
            decrypt(encrypted, chosen)


def test_shares_of_two_splits_do_not_go_together() -> None:
    encrypted, key = encrypt(b"one")
    other = make_shares(encrypt(b"two")[1], Scheme(2, 3), DIGEST)
    with pytest.raises(ApplianceError, match="do not match"):
        decrypt(encrypted, [make_shares(key, Scheme(2, 3), DIGEST)[0], other[1]])


def test_a_share_that_was_misread_does_not_spoil_the_others() -> None:
    encrypted, key = encrypt(b"the whole file")
    first, *others = make_shares(key, Scheme(2, 3), DIGEST)
    words = first.words.split()
    broken = replace(first, words=" ".join([*words[:-1], "academic" if words[-1] != "academic" else "acid"]))
    assert decrypt(encrypted, [broken, *others]) == b"the whole file"
    with pytest.raises(ApplianceError, match="do not match") as caught:
        decrypt(encrypted, [broken, others[0]])
    assert not set(words[4:]) & set(caught.value.message.split())


def test_every_split_has_a_key_of_its_own() -> None:
    one, other = encrypt(b"x" * 64), encrypt(b"x" * 64)
    assert one[0] != other[0] and one[1] != other[1]
    assert len(one[0]) == 64


def test_a_share_survives_being_printed_and_read() -> None:
    share = make_shares(encrypt(b"x")[1], Scheme(2, 3), DIGEST)[1]
    assert share.text.startswith("SHARE 2/3 NEEDS 2 OF 0001020304050607 ")
    assert read_share(share.text) == share
    assert len(share.words.split()) == 33


def test_a_share_does_not_show_its_words_when_printed_by_mistake() -> None:
    share = make_shares(encrypt(b"x")[1], Scheme(2, 2), DIGEST)[0]
    assert share.words.split()[4] not in repr(share)


@pytest.mark.parametrize("text", ["", "SHARE", "SHARE 1/3 NEEDS 2 OF 00 WORD", "https://example.org"])
def test_other_texts_are_no_shares(text: str) -> None:
    assert read_share(text) is None


@pytest.mark.parametrize("text", ["2of3", "2of2", "16of16"])
def test_schemes(text: str) -> None:
    scheme = read_scheme(text)
    assert f"{scheme.needed}of{scheme.total}" == text


@pytest.mark.parametrize("text", ["", "1of3", "4of3", "2of17", "2/3", "0of0", "-2of3", "2of3 "])
def test_what_is_no_scheme_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="not a valid split"):
        read_scheme(text)
