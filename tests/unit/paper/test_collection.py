import gzip
import hashlib
from collections.abc import Sequence
from random import Random

import pytest

from ecs_appliance.core.errors import ExitCode
from ecs_appliance.paper import split
from ecs_appliance.paper.codes import CodeKind, DamagedCodeError, pack, parts
from ecs_appliance.paper.collection import Collection, IncompleteError, MixedError, Seen, recover, sort_out
from tests.papers import LABEL, OTHER_LABEL, codes_of, noise, old_codes_of

DATA = noise(6_000)
TEXTS = [part.text for part in codes_of(DATA)]


def collected(texts: Sequence[str], where: str = "scan.png") -> Collection:
    return sort_out([Seen(text, where) for text in texts])


def seen(texts: Sequence[str], where: str) -> list[Seen]:
    return [Seen(text, where) for text in texts]


def test_order_and_repetition_do_not_matter() -> None:
    texts = TEXTS * 2
    Random(1).shuffle(texts)
    found = recover(collected(texts))
    assert (found.data, found.label, found.codes) == (DATA, LABEL, len(TEXTS))


def test_codes_of_other_things_are_passed_over() -> None:
    collection = collected([*TEXTS, "https://example.org", ""])
    assert collection.others == 2
    assert recover(collection).data == DATA


@pytest.mark.parametrize(
    ("missing", "message"), [((1,), "code 2 of 5 is missing"), ((0, 2, 4), "codes 1, 3, 5 of 5 are missing")]
)
def test_it_tells_which_codes_are_missing(missing: Sequence[int], message: str) -> None:
    with pytest.raises(IncompleteError, match=f"^{message}$"):
        recover(collected([text for number, text in enumerate(TEXTS) if number not in missing]))


def test_nothing_at_all() -> None:
    with pytest.raises(IncompleteError, match=r"no code of an env\.yml was found; unrelated codes found: 1"):
        recover(collected(["https://example.org"]))


def test_sheets_of_two_files_are_refused_by_name() -> None:
    other = [part.text for part in codes_of(noise(3_000, seed=1), OTHER_LABEL)]
    with pytest.raises(MixedError) as caught:
        recover(sort_out([*seen(TEXTS, "a.png"), *seen(other, "b.png"), *seen(other, "c.png")]))
    assert caught.value.exit_code is ExitCode.REFUSED
    digest = codes_of(DATA)[0].digest.hex()[:16]
    assert f"ecs.example.org of 2026-03-01 12:30 UTC, SHA-256 {digest}…: a.png" in caught.value.message
    assert "other.example.org of 2025-07-02 08:15 UTC, " in caught.value.message
    assert caught.value.message.endswith("…: b.png, c.png")


def test_a_file_whose_first_code_is_missing_is_named_by_its_hash() -> None:
    digest = codes_of(DATA)[0].digest.hex()[:16]
    other = [part.text for part in codes_of(noise(3_000, seed=1), OTHER_LABEL)]
    with pytest.raises(MixedError, match=f"SHA-256 {digest}…: a.png"):
        recover(sort_out([*seen(TEXTS[1:], "a.png"), *seen(other, "b.png")]))


def test_of_two_readings_of_a_code_the_right_one_is_found() -> None:
    wrong = TEXTS[1][:-1] + ("A" if TEXTS[1][-1] != "A" else "B")
    assert recover(collected([TEXTS[0], wrong, *TEXTS[1:]])).data == DATA


def test_a_code_that_was_misread_is_noticed_and_named() -> None:
    wrong = [TEXTS[1][:-1] + letter for letter in "ABCD" if letter != TEXTS[1][-1]]
    with pytest.raises(DamagedCodeError, match="does not have the SHA-256") as caught:
        recover(collected([TEXTS[0], *wrong, *TEXTS[2:]]))
    assert caught.value.hint == "scan code 2 again"


def shares_of(data: bytes, scheme: split.Scheme) -> tuple[list[str], list[str]]:
    encrypted, key = split.encrypt(pack(data, LABEL))

    digest = hashlib.sha256(encrypted).digest()
    codes = [part.text for part in parts(encrypted, digest, CodeKind.SPLIT)]
    return codes, [share.text for share in split.make_shares(key, scheme, digest)]


def test_any_two_of_three_shares_recover() -> None:
    codes, shares = shares_of(DATA, split.Scheme(2, 3))
    for chosen in (shares[:2], shares[1:], shares[::2], shares):
        found = recover(collected([*chosen, *codes, *codes]))
        assert (found.data, found.label) == (DATA, LABEL)


def test_one_share_or_none_does_not() -> None:
    codes, shares = shares_of(DATA, split.Scheme(2, 3))
    with pytest.raises(IncompleteError, match="2 shares are needed, but only these were found: 3"):
        recover(collected([shares[2], shares[2], *codes]))
    with pytest.raises(IncompleteError, match="no share"):
        recover(collected(codes))


def test_shares_alone_are_not_the_file() -> None:
    _, shares = shares_of(DATA, split.Scheme(2, 3))
    with pytest.raises(IncompleteError, match="shares were found, but they contain only words"):
        recover(collected(shares))


def test_a_share_of_another_file_is_refused_by_name() -> None:
    codes, shares = shares_of(DATA, split.Scheme(2, 3))
    _, others = shares_of(DATA, split.Scheme(2, 3))
    with pytest.raises(MixedError, match=r"share 2: scan\.png"):
        recover(collected([shares[0], others[1], *codes]))


def test_the_name_of_a_split_file_tells_nothing_of_it() -> None:
    codes, _ = shares_of(DATA, split.Scheme(2, 3))
    assert "example" not in collected(codes).files[0].name


@pytest.mark.parametrize("size", [1, 2_000, 6_000])
def test_the_predecessors_paper(size: int) -> None:
    data = noise(size)
    texts = old_codes_of(gzip.compress(data, mtime=0))
    assert recover(collected(texts[::-1])).data == data


def test_the_predecessors_single_code_has_no_number() -> None:
    data = b"appliance: {}\n" * 30
    text = old_codes_of(gzip.compress(data))[0].removeprefix("00 ")
    assert recover(collected([text])).data == data
    assert recover(collected([text.rstrip("=")])).data == data


def test_the_predecessors_paper_with_a_gap() -> None:
    texts = old_codes_of(gzip.compress(DATA))
    with pytest.raises(IncompleteError, match=r"^code 1 is missing$"):
        recover(collected([texts[0], *texts[2:]]))


def test_a_code_that_only_looks_like_the_predecessors_is_pointed_at() -> None:
    texts = old_codes_of(gzip.compress(DATA))
    with pytest.raises(IncompleteError, match="are missing") as caught:
        recover(sort_out([*seen(texts, "a.png"), *seen(["12 HELLOWORLD"], "poster.png")]))
    assert "code 12 was read in poster.png" in caught.value.hint


def test_the_predecessors_paper_says_nothing_of_itself() -> None:
    assert recover(collected(old_codes_of(gzip.compress(DATA, mtime=5)))).label is None


def test_the_predecessors_paper_without_its_end() -> None:
    texts = old_codes_of(gzip.compress(DATA))
    with pytest.raises(DamagedCodeError, match="more follow, or they belong to two files") as caught:
        recover(collected(texts[:-1]))
    assert f"code {len(texts) - 1:02}" in caught.value.hint


def test_the_predecessors_paper_of_two_files() -> None:
    one, two = (old_codes_of(gzip.compress(noise(6_000, seed))) for seed in (1, 2))
    with pytest.raises(MixedError, match=r"code 01 differs between a\.png and b\.png"):
        recover(sort_out([*seen(one, "a.png"), *seen(two[1:], "b.png")]))
    with pytest.raises(DamagedCodeError, match="two files"):
        recover(collected([*one[:2], *two[2:]]))


def test_old_and_new_paper_are_not_mixed() -> None:
    with pytest.raises(MixedError, match=r"the predecessor's paper: old.png"):
        recover(sort_out([*seen(TEXTS, "a.png"), *seen(old_codes_of(gzip.compress(DATA)), "old.png")]))
