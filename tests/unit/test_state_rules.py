"""State files of the previous release are read and written back unchanged; every other use of JSON is known.

Samples are in tests/fixtures/state, as below a machine's root, written by the release before this class of files.
When a state's format changes, they stay, and one in the new format is added.
"""

import ast
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from ecs_appliance.app import vaultkeys
from ecs_appliance.backup import comparison, documents, manifest, predecessor, progress
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.state import StateFile, find_damaged
from ecs_appliance.lifecycle import crash_count
from ecs_appliance.paper import scan
from ecs_appliance.reporting import alerts, backups
from ecs_appliance.reporting.status import StatusPage
from ecs_appliance.tls import acme
from lab import state as machines
from lab.demo import Demonstration
from lab.progress import PlainProgress

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/ecs_appliance"
LAB = ROOT / "src/lab"
SAMPLES = ROOT / "tests/fixtures/state"
ALERT = "var/lib/ecs-appliance/alerts/60a71ec3169095ea8269ea20b5ae3e5d.json"
MACHINE = "var/lib/ecs-appliance/machines/demo"
OLD = "data/.old-archive.1"

File = StateFile[Any]
FILES: dict[str, Callable[[Paths], File]] = {
    ALERT: lambda paths: alerts._file(paths.at(ALERT)),
    "var/lib/ecs-appliance/backup.json": backups._file,
    "var/lib/ecs-appliance/site.json": lambda paths: StatusPage(paths)._site_file,
    "var/lib/ecs-appliance/durations.json": lambda paths: StatusPage(paths)._durations_file,
    "var/www/html/status.json": lambda paths: StatusPage(paths)._status_file,
    "var/lib/ecs-appliance/recovery.json": progress.recovery_file,
    "var/lib/ecs-appliance/rewind.json": progress.rewind_file,
    "data/etc/backup/rewinds.json": progress.abandoned_file,
    "data/etc/backup/record.json": manifest._file,
    "var/lib/ecs-appliance/documents.json": documents._file,
    "var/lib/ecs-appliance/documents-proven.json": comparison._file,
    f"{OLD}/set-aside.json": lambda paths: predecessor._set_aside(paths.at(OLD)),
    "run/appliance/crashes": crash_count._file,
    "var/lib/ecs-appliance/acme.json": acme._file,
    "var/lib/ecs-appliance/vault-keys.json": vaultkeys._record_file,
    f"{MACHINE}/machine.json": lambda paths: machines._spec_file(paths.at(f"{MACHINE}/machine.json")),
    f"{MACHINE}/process.json": lambda paths: machines._process_file(paths.at(f"{MACHINE}/process.json")),
    f"{MACHINE}/demo.json": lambda paths: Demonstration("demo", PlainProgress(io.StringIO()), paths)._state_file,
    "home/env.yml.partial": lambda paths: scan._file(paths.at("home/env.yml.partial")),
}
# Only there did the previous release ignore unknown fields: elsewhere they would have made it fail.
TOLERANT = {"var/lib/ecs-appliance/backup.json"}
# Ignoring damage would mean a site on half of its data, an invalid backup, a machine left running, a useless scan.
NEVER_NONE = {
    "var/lib/ecs-appliance/recovery.json",
    "var/lib/ecs-appliance/rewind.json",
    "data/etc/backup/rewinds.json",
    "data/etc/backup/record.json",
    f"{MACHINE}/machine.json",
    f"{MACHINE}/process.json",
    "home/env.yml.partial",
}
# Modules that use JSON to talk to other programs, or for other reasons than storing state.
OTHERS = {
    "app/shell.py": "with Python in the application's container",
    "cli/alerts.py": "--json",
    "cli/display.py": "--json",
    "cli/env.py": "--json",
    "cli/machine.py": "--json",
    "cli/network.py": "--json",
    "cli/paper.py": "--json",
    "core/locks.py": "who holds a lock, written into the lock file itself",
    "core/state.py": "state files",
    "env/diff.py": "--json, and texts in quotes",
    "env/edit.py": "texts in quotes",
    "env/diagnostics.py": "--json, and texts in quotes",
    "env/reference.py": "the schema",
    "host/dehydrated.py": "what the authority says",
    "host/docker.py": "docker",
    "host/nftables.py": "nft",
    "host/pgbackrest.py": "pgBackRest",
    "host/rclone.py": "rclone",
    "host/restic.py": "restic",
    "lab/base.py": "a digest",
    "lab/cli/demo.py": "--json",
    "lab/demo.py": "--json, and what a command in the machine says",
    "lab/health.py": "what the machine's page says",
    "lab/network.py": "ip",
    "reporting/status.py": "the page for visitors",
}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    shutil.copytree(SAMPLES, tmp_path, dirs_exist_ok=True)
    return Paths(tmp_path)


def records(kind: Any, data: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the objects in `data` that become dataclasses, each with its class."""
    if is_dataclass(kind):
        yield kind, data
    elif is_dataclass(get_args(kind)[-1]):
        yield from ((get_args(kind)[-1], each) for each in (data.values() if isinstance(data, dict) else data))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_release_before_is_read_and_written_back_as_it_was(paths: Paths, name: str) -> None:
    file = FILES[name](paths)
    before = json.loads((paths.root / name).read_text())
    found = file.read()
    file.clear()
    file.write(found)
    after = json.loads((paths.root / name).read_text())
    if name in TOLERANT:
        after = {key: value for key, value in after.items() if key in before or value is not None}
    assert after == before
    assert file.read() == found


@pytest.mark.parametrize("name", FILES)
def test_fields_of_a_later_release_are_left_out(paths: Paths, name: str) -> None:
    file = FILES[name](paths)
    found, data = file.read(), json.loads(file.path.read_text())
    for _, each in records(file.kind, data):
        each["of_tomorrow"] = {"a": [1]}
    file.path.write_text(json.dumps(data))
    assert file.read() == found


@pytest.mark.parametrize("name", FILES)
def test_a_field_that_is_missing_has_its_default_or_always_was_there(paths: Paths, name: str) -> None:
    file = FILES[name](paths)
    data = json.loads(file.path.read_text())
    for kind, each in records(file.kind, data):
        for field in (known for known in fields(kind) if known.name in each):
            held = each.pop(field.name)
            file.path.write_text(json.dumps(data))
            if field.default is MISSING and field.default_factory is MISSING:
                _is_damaged(file)
            else:
                assert file.read() is not None
            each[field.name] = held


@pytest.mark.parametrize("content", ["", "{", "\0", "null", "3", '["a", {}, []]'])
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_is_none_only_where_that_is_no_danger(paths: Paths, name: str, content: str) -> None:
    file = FILES[name](paths)
    assert bool(file.remedy) is (name in NEVER_NONE)
    file.path.write_text(content)
    _is_damaged(file)


@pytest.mark.parametrize("name", FILES)
def test_what_has_a_wrong_type_is_damaged(paths: Paths, name: str) -> None:
    file = FILES[name](paths)
    data = json.loads(file.path.read_text())
    for key in range(len(data)) if isinstance(data, list) else data:
        held, data[key] = data[key], [{"wrong": []}]
        file.path.write_text(json.dumps(data))
        _is_damaged(file)
        data[key] = held


def _is_damaged(file: File) -> None:
    if file.remedy:
        with pytest.raises(ApplianceError, match="is damaged") as caught:
            file.read()
        assert caught.value.hint == file.remedy
        assert file.path.exists()
    else:
        assert file.read() is None
        (aside,) = find_damaged([file.path.parent])
        aside.unlink()


def named_modules() -> Iterator[tuple[str, Path]]:
    """Yield the product's modules by their paths in it, and the laboratory's with the prefix `lab/`."""
    yield from ((str(file.relative_to(SOURCE)), file) for file in SOURCE.rglob("*.py"))
    yield from ((str(file.relative_to(LAB.parent)), file) for file in LAB.rglob("*.py"))


def modules(speaks: Callable[[ast.AST], bool]) -> set[str]:
    """Return the modules with a node for which `speaks` is true."""
    return {name for name, file in named_modules() if any(map(speaks, ast.walk(ast.parse(file.read_text()))))}


def imports_json(node: ast.AST) -> bool:
    named = isinstance(node, ast.Import) and any(each.name.startswith("json") for each in node.names)
    return named or (isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("json"))


def makes_state_file(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("StateFile", "PhaseFile")


def test_json_is_read_and_written_by_the_class_of_state_files_or_by_who_is_known() -> None:
    assert modules(imports_json) == set(OTHERS)
    assert not [path for path in (ROOT / "salt").rglob("*.py") if "json" in path.read_text()]


def test_every_state_file_has_a_sample_of_the_release_before() -> None:
    made = {
        "backup/comparison.py",
        "backup/documents.py",
        "backup/progress.py",
        "backup/predecessor.py",
        "backup/manifest.py",
        "app/vaultkeys.py",
        "lifecycle/crash_count.py",
        "lab/demo.py",
        "lab/state.py",
        "paper/scan.py",
        "reporting/alerts.py",
        "reporting/backups.py",
        "reporting/status.py",
        "tls/acme.py",
    }
    assert modules(makes_state_file) == made
    samples = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.is_file()}
    assert samples == set(FILES)
