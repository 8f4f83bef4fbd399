import errno
import io
import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError, RefusedError
from ecs_appliance.env.decoding import LARGEST
from ecs_appliance.offline_copy.delivery import has_recipients, recipients_of
from ecs_appliance.offline_copy.package import META_DATA, USER_DATA, package
from ecs_appliance.paper.pictures import on_disk
from ecs_appliance.paper.scan import scan
from ecs_appliance.paper.split import Scheme
from tests.fakes import AnsweringRunner

EVERYTHING = Path(__file__).parents[2] / "fixtures/env/accepted/everything.yml"
SHARE = re.compile(r"env\.yml\.share-([123])of([23])-([0-9A-F]{16})\.pdf")
MODIFIED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "env.yml"
    path.write_bytes(EVERYTHING.read_bytes())
    os.utime(path, (MODIFIED.timestamp(), MODIFIED.timestamp()))
    return path


def nobody() -> AnsweringRunner:
    """Return a laptop without any programs: starting one fails the test."""
    return AnsweringRunner(lambda argv: pytest.fail(f"{argv[0]} was started"))


def on_disc(image: Path) -> dict[str, bytes]:
    """Return the files of an ISO by their Joliet names."""
    disc = PyCdlib()
    disc.open(str(image))
    files = {}
    for child in disc.list_children(joliet_path="/"):
        name = child.file_identifier().decode("utf-16_be")
        if child.is_file():
            content = io.BytesIO()
            disc.get_file_from_iso_fp(content, joliet_path=f"/{name}")
            files[name] = content.getvalue()
    disc.close()
    return files


def test_paper_and_disc_without_any_program(file: Path) -> None:
    made = package(file, nobody())
    assert (made.domain, made.modified, made.encrypted) == ("ecs.example.org", MODIFIED, None)
    assert sorted(path.name for path in file.parent.iterdir()) == ["env-cidata.iso", "env.yml", "env.yml.pdf"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*made.papers, made.disc)} == {0o600}
    back = scan([on_disk(made.papers[0])], file.with_name("back.yml"))
    assert back.data == file.read_bytes()
    assert back.codes == made.codes


def test_the_disc_is_a_seed(file: Path) -> None:
    made = package(file, nobody())
    files = on_disc(made.disc)
    assert files[USER_DATA] == file.read_bytes()
    assert files[META_DATA] == b"instance-id: iid-cloud-default\nlocal-hostname: ecs.example.org\n"
    assert files["env.yml.pdf"] == made.papers[0].read_bytes()


def test_meta_data_of_ones_own(file: Path) -> None:
    file.with_name("meta-data.custom").write_text("instance-id: mine\n")
    assert on_disc(package(file, nobody()).disc)[META_DATA] == b"instance-id: mine\n"


def test_a_second_run_makes_the_same(file: Path) -> None:
    first = package(file, nobody())
    before = [path.read_bytes() for path in (*first.papers, first.disc)]
    again = package(file, nobody())
    assert [path.read_bytes() for path in (*again.papers, again.disc)] == before
    assert again.stale == ()


def test_shares_instead_of_the_whole(file: Path) -> None:
    made = package(file, nobody(), scheme=Scheme(2, 3))
    found = [SHARE.fullmatch(paper.name) for paper in made.papers]
    assert [match and match[1] for match in found] == ["1", "2", "3"]
    assert len({match and match[3] for match in found}) == 1
    assert not file.with_name("env.yml.pdf").exists()
    assert set(on_disc(made.disc)) == {USER_DATA, META_DATA}
    back = scan([on_disk(paper) for paper in made.papers[1:]], file.with_name("back.yml"))
    assert back.data == file.read_bytes()


def test_papers_that_are_of_no_use_any_more_are_told(file: Path) -> None:
    package(file, nobody())
    shared = package(file, nobody(), scheme=Scheme(2, 3))
    assert [paper.name for paper in shared.stale] == ["env.yml.pdf"]
    fewer = package(file, nobody(), scheme=Scheme(2, 2))
    assert fewer.stale == (*shared.stale, *shared.papers)


def test_shares_of_another_key_are_told_apart_and_of_no_use(file: Path) -> None:
    first = package(file, nobody(), scheme=Scheme(2, 3))
    first.papers[0].unlink()
    again = package(file, nobody(), scheme=Scheme(2, 3))
    assert again.stale == first.papers[1:]


@pytest.mark.parametrize("name", ["env[1].yml", "*.yml", "[.yml"])
def test_papers_are_found_whatever_the_name(file: Path, name: str) -> None:
    package(file, nobody(), scheme=Scheme(2, 2))
    file = file.rename(file.with_name(name))
    first = package(file, nobody(), scheme=Scheme(2, 2))
    assert first.stale == ()
    assert package(file, nobody()).stale == first.papers


@pytest.mark.parametrize("name", ["é" * 60, os.fsdecode(b"\xff.yml")], ids=["long", "no text"])
def test_any_name_goes_on_the_disc(file: Path, name: str) -> None:
    made = package(file.rename(file.with_name(name)), nobody())
    assert made.papers == (file.with_name(f"{name}.pdf"),)
    assert on_disc(made.disc)["env.yml.pdf"] == made.papers[0].read_bytes()


@pytest.mark.parametrize("name", ["env-cidata.iso", "gpgkeys.txt", "emailto.txt", "meta-data.custom"])
def test_a_file_under_a_name_that_has_a_use_is_refused(file: Path, name: str) -> None:
    file = file.rename(file.with_name(name))
    with pytest.raises(RefusedError, match=f"cannot be packaged under the name {name}"):
        package(file, nobody())
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["env-cidata.iso", "env.yml.pdf"])
def test_a_file_that_is_reached_by_a_link_is_not_overwritten(file: Path, name: str) -> None:
    real = file.rename(file.with_name(name))
    file.symlink_to(name)
    with pytest.raises(RefusedError, match=f"cannot be packaged under the name {name}"):
        package(file, nobody())
    assert real.read_bytes() == EVERYTHING.read_bytes()


@pytest.mark.parametrize("year", [1960, 2110])
def test_a_date_that_cannot_be_printed_is_refused(file: Path, year: int) -> None:
    moment = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    os.utime(file, (moment, moment))
    with pytest.raises(RefusedError, match="not between 1970 and 2106") as caught:
        package(file, nobody())
    assert caught.value.hint == "touch it"


@pytest.mark.parametrize("moment", [0, 2**32 - 1])
def test_the_first_and_the_last_date(file: Path, moment: int) -> None:
    os.utime(file, (moment, moment))
    assert package(file, nobody()).modified.timestamp() == moment


def test_what_cannot_be_used_is_not_printed(file: Path) -> None:
    file.write_text("#cloud-config\nappliance: {domain: 1}\n")
    with pytest.raises(InvalidEnvError, match=r"appliance\.domain") as caught:
        package(file, nobody())
    assert "--unchecked" in caught.value.hint
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("data", [b"x", b"\x00\xff" * 40, "# Grüße\n".encode()], ids=["byte", "binary", "text"])
def test_unless_it_is_asked_for(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    made = package(file, nobody(), unchecked=True)
    assert made.domain == "unknown"
    assert scan([on_disk(made.papers[0])], file.with_name("back")).data == data


def test_too_much_for_paper(file: Path) -> None:
    with file.open("ab") as handle:
        handle.write(b"# " + os.urandom(100_000).hex().encode() + b"\n")
        handle.write(b"# " + os.urandom(100_000).hex().encode() + b"\n")
    with pytest.raises(RefusedError, match="the limit is 131,200"):
        package(file, nobody())
    assert list(file.parent.iterdir()) == [file]


def test_no_part_of_a_file_is_packaged(file: Path) -> None:
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ApplianceError, match=r"env\.yml is larger than 1024 KiB"):
        package(file, nobody(), unchecked=True)
    assert list(file.parent.iterdir()) == [file]


PUT: dict[str, Callable[[Path], object]] = {
    "dangling": lambda path: path.symlink_to("nothing"),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "too large": lambda path: path.write_bytes(b"#" * (LARGEST + 1)),
}


@pytest.mark.parametrize("name", ["gpgkeys.txt", "meta-data.custom"])
@pytest.mark.parametrize("put", PUT.values(), ids=PUT)
def test_what_lies_beside_and_cannot_be_read_is_not_passed_over(
    file: Path, name: str, put: Callable[[Path], object]
) -> None:
    put(file.with_name(name))
    with pytest.raises(ApplianceError, match=name):
        package(file, nobody())
    assert {path.name for path in file.parent.iterdir()} == {"env.yml", name}


@pytest.mark.parametrize("name", ["gpgkeys.txt", "emailto.txt"])
@pytest.mark.parametrize("put", PUT.values(), ids=PUT)
def test_nor_is_it_for_a_mail(file: Path, name: str, put: Callable[[Path], object]) -> None:
    file.with_name("emailto.txt" if name == "gpgkeys.txt" else "gpgkeys.txt").write_text("office@example.org\n")
    put(file.with_name(name))
    assert has_recipients(file)
    with pytest.raises(ApplianceError, match=name) as caught:
        recipients_of(file)
    assert "missing" not in caught.value.message


def test_on_a_full_disk_nothing_is_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(file, nobody())
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    with file.open("ab") as handle:
        handle.write(b"# newer\n")
    sync, synced = os.fsync, list[int]()

    def full_in_the_second(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full_in_the_second)
    with pytest.raises(ApplianceError, match=r"cannot write .*env-cidata\.iso: No space") as caught:
        package(file, nobody())
    assert caught.value.hint == "free up space, then run it again"
    before["env.yml"] += b"# newer\n"
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="No such file"):
        package(tmp_path / "env.yml", nobody())


def test_a_folder_in_the_way(file: Path) -> None:
    file.with_name("env-cidata.iso").mkdir()
    with pytest.raises(ApplianceError, match=r"cannot write .*env-cidata\.iso") as caught:
        package(file, nobody())
    assert caught.value.hint == "move that folder away, then run it again"
    assert {path.name for path in file.parent.iterdir()} == {"env.yml", "env-cidata.iso"}
