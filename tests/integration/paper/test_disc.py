"""The disc as other programs read it: blkid, which finds its label, and libarchive."""

from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.paper.disc import make_disc

FILES = {"user-data": b"#cloud-config\n", "meta-data": b"instance-id: one\n", "env.yml.pdf": b"%PDF-1.7\n" * 20_000}
run = SystemRunner().run


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cidata.iso"
    path.write_bytes(make_disc(FILES))
    return path


def test_blkid_reads_the_label(image: Path) -> None:
    facts = dict(line.split("=", 1) for line in run(["blkid", "-p", "-o", "export", image], timeout=10).lines())
    assert (facts["LABEL"], facts["TYPE"], facts["USAGE"]) == ("cidata", "iso9660", "filesystem")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("rockridge", list(FILES)),
        ("joliet,!rockridge", list(FILES)),
        ("!joliet,!rockridge", ["USER_DATA", "META_DATA", "ENV_YML.PDF"]),
    ],
    ids=["rock ridge", "joliet", "plain"],
)
def test_libarchive_unpacks_it_by_each_kind_of_name(
    image: Path, tmp_path: Path, options: str, names: list[str]
) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    run(["bsdtar", "--options", options, "-x", "-f", image, "-C", folder], timeout=20)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == dict(zip(names, FILES.values(), strict=True))
