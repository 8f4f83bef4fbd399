"""The archive before it is encrypted."""

import gzip
import io
import tarfile
from datetime import UTC, datetime, timedelta, timezone

from ecs_appliance.offline_copy.encrypted_archive import archive, file_name

FILES = {"env.yml": b"#cloud-config\n", "env-cidata.iso": b"\0" * 70000, "env.yml.pdf": b"%PDF"}
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def test_the_same_files_make_the_same_bytes() -> None:
    again = dict(reversed(FILES.items()))
    abroad = MOMENT.astimezone(timezone(timedelta(hours=2)))
    assert archive(FILES, MOMENT) == archive(again, abroad)
    assert archive(FILES, MOMENT) != archive(FILES, MOMENT + timedelta(seconds=1))


def test_it_holds_the_files_for_their_owner_alone() -> None:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive(FILES, MOMENT)))) as tar:
        read = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        facts = {(entry.mode, entry.uid, entry.gid, entry.uname, entry.mtime, entry.isreg()) for entry in tar}
    assert read == FILES
    assert facts == {(0o600, 0, 0, "", int(MOMENT.timestamp()), True)}


def test_its_name_says_whose_and_of_when_it_is() -> None:
    assert file_name("ecs.example.org", MOMENT) == "ecs.example.org.env.2026-03-04_05.06.tar.gz.gpg"
