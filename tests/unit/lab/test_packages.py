from pathlib import Path

import pytest

from lab.packages import debian_version, missing_packages


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ('ID=debian\nVERSION_ID="13"\n', "13"),
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', "12"),
        ('ID=ubuntu\nVERSION_ID="24.04"\nID_LIKE=debian\n', ""),
        ("ID=debian\n", ""),
    ],
)
def test_the_version_of_debian_is_read(tmp_path: Path, release: str, version: str) -> None:
    (tmp_path / "os-release").write_text(release)
    assert debian_version(tmp_path / "os-release") == version


def test_a_program_that_is_there_needs_no_package() -> None:
    assert missing_packages({"sh": "dash"}) == []


def test_each_missing_package_is_named_once() -> None:
    assert missing_packages({"no-such-a": "some", "no-such-b": "some", "no-such-c": "another"}) == ["another", "some"]
