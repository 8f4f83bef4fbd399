"""Root does not follow a link that another account made, wherever that account may make one."""

import os
from pathlib import Path

import pytest

from ecs_appliance.core import folders
from ecs_appliance.core.folders import UntrustedError

NOBODY = 65534


def test_a_link_in_a_sticky_folder_counts_only_if_root_made_it(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    for name, owner in (("ours", 0), ("theirs", NOBODY)):
        (shared / name).symlink_to(tmp_path / "victim")
        os.lchown(shared / name, owner, owner)
    assert folders.real_path(shared / "ours") == tmp_path / "victim"
    with pytest.raises(UntrustedError, match="theirs is a link in a folder that another account can write to"):
        folders.real_path(shared / "theirs")
