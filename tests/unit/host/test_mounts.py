"""Detect mounts, and write their entries."""

from pathlib import Path

from ecs_appliance.host.mounts import Mount, is_mounted

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 22 254:0 /srv/backup /mnt/my\\040backup rw,relatime shared:1 - ext4 /dev/vda rw
"""


def test_a_folder_of_the_same_filesystem_is_a_mount_too(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    assert is_mounted(Path("/mnt/my backup"), table)
    assert not is_mounted(Path("/mnt"), table)


def test_an_entry_has_its_blanks_escaped_and_its_password_only_in_it() -> None:
    mount = Mount("cifs", "//nas/ecs data", Path("/mnt/backup"), "username=ecs,password=word")
    assert mount.entry() == "//nas/ecs\\040data /mnt/backup cifs noauto,username=ecs,password=word 0 0\n"
    assert "word" not in repr(mount)
    assert Mount("", "nas:/ecs", Path("/mnt/backup")).entry() == "nas:/ecs /mnt/backup auto noauto 0 0\n"
