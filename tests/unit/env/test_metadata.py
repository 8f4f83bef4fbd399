"""Which cloud the firmware names."""

from pathlib import Path

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.env.metadata import Hints, read_hints


@pytest.mark.parametrize(
    ("files", "hints"),
    [
        ({}, Hints()),
        ({"sys_vendor": "QEMU", "product_name": "Standard PC"}, Hints()),
        ({"sys_vendor": "Amazon EC2"}, Hints(ec2=True)),
        ({"bios_version": "4.11.amazon", "product_uuid": "EC2E1916-9099-7CAF-FD21-012345ABCDEF"}, Hints(ec2=True)),
        ({"product_uuid": "ec2e1916-9099-7caf-fd21-012345abcdef"}, Hints(ec2=True)),
        ({"product_name": "OpenStack Nova"}, Hints(other=True)),
        ({"product_name": "Google Compute Engine", "sys_vendor": "Google"}, Hints(gce=True)),
    ],
)
def test_hints_are_read_from_the_firmware(tmp_path: Path, files: dict[str, str], hints: Hints) -> None:
    folder = tmp_path / "sys/class/dmi/id"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    assert read_hints(Paths(tmp_path)) == hints


@pytest.mark.parametrize(
    ("words", "hints"),
    [
        ("quiet ecs.metadata", Hints(other=True)),
        ("quiet", Hints()),
        ("ecs.metadatas x.ecs.metadata ecs.metadata=", Hints()),
    ],
)
def test_a_cloud_without_a_name_is_named_on_the_kernels_command_line(tmp_path: Path, words: str, hints: Hints) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text(f"BOOT_IMAGE=/vmlinuz {words}\n")
    assert read_hints(Paths(tmp_path)) == hints
