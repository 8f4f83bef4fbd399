"""A snapshot's manifest is untrusted input."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ecs_appliance.backup.manifest import SnapshotManifest, read_manifest
from ecs_appliance.backup.plan import excluded_paths
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths

RECORD = SnapshotManifest("ecs-1.000", "20300517-120000F_20300518-120000D", "ecs", 1.0, 2, "0a1b", "ecs.example.org")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    RECORD.save(paths)
    return paths


def test_a_record_comes_back(paths: Paths) -> None:
    assert read_manifest(paths) == RECORD


@pytest.mark.parametrize("name", ["point", "label", "database", "application"])
@pytest.mark.parametrize("value", ["x'\nshared_preload_libraries = 'evil", "a b", "../x", "ä"])
def test_one_that_would_be_more_than_a_word_elsewhere_is_none(paths: Paths, name: str, value: object) -> None:
    paths.backup_record.write_text(json.dumps({**asdict(RECORD), name: value}))
    with pytest.raises(ApplianceError, match="is not a valid record of a backup"):
        read_manifest(paths)


@pytest.mark.parametrize("content", ["", "null", "{}", '{"point": null}'])
def test_what_is_none_says_to_choose_another(paths: Paths, content: str) -> None:
    paths.backup_record.write_text(content)
    with pytest.raises(ApplianceError, match=r"record\.json is damaged") as caught:
        read_manifest(paths)
    assert caught.value.hint == "choose another backup: appliance backup list"
    paths.backup_record.unlink()
    with pytest.raises(ApplianceError, match="is not a valid record of a backup"):
        read_manifest(paths)


def test_only_half_written_files_are_left_out_where_they_are_written() -> None:
    """Elsewhere, a folder with such a name contains complete documents."""
    places = ("/data/pgbackrest/", "/data/ecs-storage-vault/")
    assert all(pattern.startswith(places) for pattern in excluded_paths(Paths()))
