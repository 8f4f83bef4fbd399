"""Every call that makes root follow a link is listed here, with the reason why it is safe."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/ecs_appliance"
# They follow links, or give away what these point to. rmtree follows only links in the path to its folder.
FOLLOW = {"resolve", "realpath", "chown", "rmtree"}
# On a laptop, nobody else has folders there.
ELSEWHERE = ("env/", "paper/", "offline_copy/")
# The paths named here are in root's own folders; links further down are not followed.
KNOWN = {
    "backup/predecessor.py": {"rmtree"},  # /data and /volatile
    "backup/rehearsal.py": {"rmtree"},  # /data and /volatile
    "backup/restore.py": {"rmtree"},  # /var/spool/pgbackrest by its name; hooks, in /data/etc
    "backup/run.py": {"chown", "rmtree"},  # in a folder of root's in /data
    "backup/temporary_server.py": {"rmtree"},  # below a folder of root's
    "core/files.py": {"rmtree"},  # root's private folders
    "core/folders.py": {"rmtree"},  # by descriptor
    "host/cluster.py": {"resolve", "rmtree"},  # the home of postgres and its folder 17, reclaimed for root first
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
