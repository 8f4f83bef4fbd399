"""Whoever makes root follow a link says why that is safe: of calls that do, each is known here."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/ecs_appliance"
# They go where a link leads, or give away what it leads to. rmtree follows none, but on the way to its folder.
FOLLOW = {"resolve", "realpath", "chown", "rmtree"}
# A laptop: nobody else has a folder there.
ELSEWHERE = ("env/", "paper/", "safekeeping/")
# All that is named lies in folders of root's; what comes after them is not followed.
KNOWN = {
    "backup/predecessor.py": {"rmtree"},  # /data and /volatile
    "backup/rehearsal.py": {"rmtree"},  # /data and /volatile
    "backup/restore.py": {"rmtree"},  # /var/spool/pgbackrest by its name; hooks, in /data/etc
    "backup/run.py": {"chown", "rmtree"},  # in a folder of root's in /data
    "backup/scratch.py": {"rmtree"},  # below a folder of root's
    "core/files.py": {"rmtree"},  # private folders of root's
    "core/folders.py": {"rmtree"},  # by descriptor
    "host/cluster.py": {"resolve", "rmtree"},  # the home of postgres, and its 17, are root's: they are taken back first
    "host/git.py": {"rmtree"},  # /app, /app/releases
    "host/mounts.py": {"realpath"},  # the target of env.yml, compared with the kernel's table
    "lifecycle/cleanup.py": {"resolve"},  # /app/appliance, root's
    "lifecycle/install.py": {"resolve"},  # where this code is
    "lifecycle/rehearsal.py": {"resolve"},  # /app/appliance
    "lifecycle/release.py": {"resolve", "rmtree"},  # /app/appliance, /app/releases
    "lifecycle/storage.py": {"rmtree"},  # what was moved out of root's folders
}


def calls(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FOLLOW:
            words = {word.arg: word.value for word in node.keywords}
            follows = words.get("follow_symlinks")
            if not (isinstance(follows, ast.Constant) and follows.value is False):
                yield node.func.attr


def test_every_call_that_follows_a_link_is_known() -> None:
    found: dict[str, set[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        name = str(file.relative_to(SOURCE))
        if not name.startswith(ELSEWHERE) and (names := set(calls(file))):
            found[name] = names
    assert found == KNOWN
