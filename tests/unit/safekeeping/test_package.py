import io
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError, RefusedError
from ecs_appliance.paper.pictures import on_disk
from ecs_appliance.paper.scan import scan
from ecs_appliance.paper.split import Scheme
from ecs_appliance.safekeeping.package import META_DATA, USER_DATA, package
from tests.fakes import AnsweringRunner

EVERYTHING = Path(__file__).parents[2] / "fixtures/env/accepted/everything.yml"
MODIFIED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "env.yml"
    path.write_bytes(EVERYTHING.read_bytes())
    os.utime(path, (MODIFIED.timestamp(), MODIFIED.timestamp()))
    return path


def nobody() -> AnsweringRunner:
    """A laptop without any program: whatever is started fails the test."""
    return AnsweringRunner(lambda argv: pytest.fail(f"{argv[0]} was started"))


def on_disc(image: Path) -> dict[str, bytes]:
    """The files of an ISO by their Joliet names."""
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
    assert (made.domain, made.modified, made.sealed) == ("ecs.example.org", MODIFIED, None)
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
    assert [paper.name for paper in made.papers] == [f"env.yml.share-{number}of3.pdf" for number in (1, 2, 3)]
    assert not file.with_name("env.yml.pdf").exists()
    assert set(on_disc(made.disc)) == {USER_DATA, META_DATA}
    back = scan([on_disk(paper) for paper in made.papers[1:]], file.with_name("back.yml"))
    assert back.data == file.read_bytes()


def test_papers_that_are_of_no_use_any_more_are_told(file: Path) -> None:
    package(file, nobody())
    shared = package(file, nobody(), scheme=Scheme(2, 3))
    assert [paper.name for paper in shared.stale] == ["env.yml.pdf"]
    fewer = package(file, nobody(), scheme=Scheme(2, 2))
    assert [paper.name for paper in fewer.stale] == ["env.yml.pdf", *(f"env.yml.share-{n}of3.pdf" for n in (1, 2, 3))]


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
    with pytest.raises(RefusedError, match="it takes 131,200"):
        package(file, nobody())
    assert list(file.parent.iterdir()) == [file]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match="No such file"):
        package(tmp_path / "env.yml", nobody())


def test_a_folder_in_the_way(file: Path) -> None:
    file.with_name("env-cidata.iso").mkdir()
    with pytest.raises(ApplianceError, match=r"cannot write .*env-cidata\.iso"):
        package(file, nobody())
