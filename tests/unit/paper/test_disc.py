"""Read the disc back, byte by byte, in each of its three namespaces."""

import io
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pycdlib import PyCdlib
from pycdlib.dr import DirectoryRecord

from ecs_appliance.paper.disc import SECTOR, make_disc, plain_name

FILES = {
    "user-data": b"#cloud-config\n" + bytes(range(256)) * 60,
    "meta-data": b"instance-id: one\n",
    "env.yml.pdf": b"%PDF-1.7\n" * 20_000,
}
LABEL = slice(16 * SECTOR + 40, 16 * SECTOR + 72)


def opened(image: bytes) -> PyCdlib:
    disc = PyCdlib()
    disc.open_fp(io.BytesIO(image))
    return disc


def content(image: bytes, space: str, name: str) -> bytes:
    data = io.BytesIO()
    opened(image).get_file_from_iso_fp(data, **{space: f"/{name}"})
    return data.getvalue()


@pytest.mark.parametrize("space", ["rr_path", "joliet_path", "iso_path"])
def test_every_space_of_names_has_every_file(space: str) -> None:
    image = make_disc(FILES)
    for name, data in FILES.items():
        assert content(image, space, plain_name(name) if space == "iso_path" else name) == data
    ((_, folders, names),) = opened(image).walk(**{space: "/"})
    assert (folders, len(names)) == ([], len(FILES))


@pytest.mark.parametrize("size", [0, 1, SECTOR - 1, SECTOR, SECTOR + 1, 1 << 20])
def test_files_of_every_size_fit(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert content(make_disc({"user-data": data, "meta-data": b""}), "rr_path", "user-data") == data


def test_the_label_is_as_given() -> None:
    assert make_disc(FILES)[LABEL].rstrip() == b"cidata"
    assert make_disc(FILES, label="config-2")[LABEL].rstrip() == b"config-2"


def test_the_same_files_make_the_same_bytes_at_any_time_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_disc(FILES)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert make_disc(FILES) == image
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_date_is_the_one_given() -> None:
    dated = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    disc = opened(make_disc(FILES, dated=dated))
    assert disc.pvd.volume_creation_date.date_str == b"2031050607080900\0"
    for child in disc.list_children(rr_path="/"):
        if child is not None:
            stamp = child.date
            assert (stamp.years_since_1900, stamp.month, stamp.day_of_month) == (131, 5, 6)
            assert (stamp.hour, stamp.minute, stamp.second, stamp.gmtoffset) == (7, 8, 9, 0)


def test_a_date_of_another_time_zone_is_the_same_moment() -> None:
    there = datetime(2031, 5, 6, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert make_disc(FILES, dated=there) == make_disc(FILES, dated=there.astimezone(UTC))


def test_only_the_owner_may_read_the_files() -> None:
    disc = opened(make_disc(FILES))
    for name in FILES:
        record = disc.get_record(rr_path=f"/{name}")
        assert isinstance(record, DirectoryRecord) and record.rock_ridge is not None
        assert record.rock_ridge.get_file_mode() == 0o100400


def test_nothing_of_one_disc_is_in_another() -> None:
    assert b"instance-id: one" not in make_disc({"user-data": FILES["user-data"]})


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("user-data", "USER_DATA.;1"),
        ("env.yml.pdf", "ENV_YML.PDF;1"),
        ("Straße.txt", "STRASSE.TXT;1"),
        (".hidden", "HIDDEN.;1"),
        ("a" * 50 + ".extension", "A" * 20 + ".EXTENSIO;1"),
    ],
)
def test_plain_names_are_what_every_reader_knows(name: str, plain: str) -> None:
    assert plain_name(name) == plain
    assert content(make_disc({name: b"x"}), "iso_path", plain) == b"x"


def test_names_that_a_plain_disc_does_not_tell_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="user-data, user_data"):
        make_disc({"user-data": b"", "user_data": b""})
