import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.paper.codes import (
    CHARACTERS,
    MOST_BYTES,
    CodeKind,
    DamagedCodeError,
    join,
    pack,
    read_label,
    read_part,
    unpack,
)
from tests.papers import LABEL, codes_of, noise


@pytest.mark.parametrize("size", [1, 2, 5, 2_111, 2_112, 4_096, 15_360, MOST_BYTES])
def test_round_trip(size: int) -> None:
    data = noise(size)
    texts = [part.text for part in codes_of(data)]
    read = [read_part(text) for text in texts]
    assert [part.number for part in read if part] == list(range(1, len(texts) + 1))
    assert {part.digest for part in read if part} == {hashlib.sha256(data).digest()}
    assert unpack(join([part.data for part in read if part])) == data


@given(st.binary(min_size=1, max_size=6_000))
def test_round_trip_of_anything(data: bytes) -> None:
    assert unpack(join([part.data for part in codes_of(data)])) == data


def test_one_byte_more_than_paper_takes_is_refused_with_both_numbers() -> None:
    with pytest.raises(RefusedError, match=r"^131,201 bytes .* limit is 131,200$"):
        pack(noise(MOST_BYTES + 1), LABEL)


def test_what_can_be_packed_may_be_larger() -> None:
    data = b"appliance: {}\n" * 20_000
    assert unpack(pack(data, LABEL)) == data


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(RefusedError, match="empty"):
        pack(b"", LABEL)


def test_codes_are_about_equally_long_and_no_longer_than_a_code_may_be() -> None:
    lengths = [len(part.data) for part in codes_of(noise(15_000))]
    assert max(lengths) <= CHARACTERS
    assert max(lengths) - min(lengths) < len(lengths)


def test_packed_is_a_gzip_that_needs_no_padding_and_says_what_it_is() -> None:
    packed = pack(b"appliance: {}\n", LABEL)
    assert gzip.decompress(packed) == b"appliance: {}\n"
    assert len(packed) % 5 == 0
    assert read_label(packed[:40]) == LABEL


@given(st.binary(max_size=60))
def test_a_label_is_looked_for_in_anything(data: bytes) -> None:
    label = read_label(b"\x1f\x8b\x08" + data)
    assert label is None or isinstance(label.name, str)


def test_headers_sort_by_number_and_hold_nothing_of_base32() -> None:
    texts = [part.text for part in codes_of(noise(MOST_BYTES))]
    assert sorted(texts) == texts
    headers = {text[:137] for text in texts}
    assert len(headers) == len(texts) == 101
    assert set("".join(headers)) == set("0189")


@pytest.mark.parametrize(
    "text", ["", "https://example.org", "00 ABCDEFGH", "0" * 137, "2" + "0" * 136 + "AAAA", "0" * 137 + "AAAA"]
)
def test_other_codes_are_none_of_ours(text: str) -> None:
    assert read_part(text) is None


def test_a_number_beyond_the_count_is_none_of_ours() -> None:
    part = codes_of(b"x")[0]
    assert read_part(part.text) == part
    assert read_part(part.text.replace("00010001", "00080001", 1)) is None


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_an_end_that_is_missing_is_noticed(cut: int) -> None:
    with pytest.raises(DamagedCodeError):
        unpack(pack(noise(300), LABEL)[:-cut])


def test_more_behind_the_end_is_noticed() -> None:
    with pytest.raises(DamagedCodeError, match="incomplete, or has data after its end"):
        unpack(pack(noise(300), LABEL) * 2)


def test_a_flipped_bit_is_noticed() -> None:
    packed = bytearray(pack(noise(300), LABEL))
    packed[100] ^= 1
    with pytest.raises(DamagedCodeError):
        unpack(bytes(packed))


def test_kinds_are_told_apart_by_the_first_digit() -> None:
    assert (CodeKind.PLAIN.value, CodeKind.SPLIT.value) == ("0", "1")
