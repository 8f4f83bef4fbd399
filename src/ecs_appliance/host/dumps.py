"""Dump the application's database to a file and load it again, as the application's role."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecs_appliance.core.files import sync_folder
from ecs_appliance.core.runner import Runner
from ecs_appliance.host.postgres import Server

LIST_SECONDS = 300
DESCRIBE_SECONDS, DESCRIBE_LOCK_WAIT = 120, "10s"
# If a table stays locked longer than this, the dump fails.
LOCK_WAIT = "5min"
WITHOUT = (
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-security-labels",
    "--no-subscriptions",
    "--no-tablespaces",
)
# Entries of a dump that only a superuser may restore; each start creates the extension itself.
NOT_LOADED = re.compile(
    r"\d+; \d+ \d+ (EXTENSION - (plpgsql|pg_stat_statements)|COMMENT - EXTENSION|SCHEMA - public)( |$)"
)


def load(runner: Runner, server: Server, packed: Path, database: str, *, timeout: float) -> None:
    """Load `packed`, a gzipped dump in custom format, into the empty `database` in a single transaction.

    Code in the dump runs as the application's role, which owns all that is created. Raise CommandError, or
    DeadlineError after `timeout` seconds.
    """
    with tempfile.NamedTemporaryFile("w", prefix="appliance-load.") as wanted:
        wanted.writelines(f"{number}\n" for number in plan_load(_contents(runner, packed)))
        wanted.flush()
        shape = ("--format=custom", *WITHOUT, "--single-transaction", "--exit-on-error", f"--use-list={wanted.name}")
        restoring = ("pg_restore", *server.options, *shape, f"--dbname={database}")
        pipe = 'gunzip --stdout "$1" | "${@:2}"'
        runner.run(["bash", "-o", "pipefail", "-c", pipe, "bash", packed, *restoring], timeout=timeout)


def plan_load(contents: list[str]) -> list[str]:
    """Return the ids of the entries to load, given the output `contents` of `pg_restore --list`."""
    entries = [line for line in contents if line[:1].isdigit()]
    return [line.partition(";")[0] for line in entries if not NOT_LOADED.match(line)]


def _contents(runner: Runner, packed: Path) -> list[str]:
    # No pipefail: pg_restore stops reading after the table of contents, which ends gunzip by SIGPIPE.
    pipe = 'gunzip --stdout "$1" | pg_restore --list'
    return runner.run(["bash", "-c", pipe, "bash", packed], timeout=LIST_SECONDS).lines()


def dump(
    runner: Runner,
    server: Server,
    database: str,
    target: Path,
    *,
    owner: tuple[int, int] | None = None,
    timeout: float = 3 * 3600,
) -> None:
    """Dump `database` into `target`: custom format, uncompressed, mode 0600, owned by `owner` (uid, gid).

    It is written as `.FOLDER.new` next to the folder of `target`, since another account may own that folder. If it
    fails, an older `target` stays unchanged. Raise CommandError, or DeadlineError after `timeout` seconds.
    """
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with _staging_file(folder.with_name(f".{folder.name}.new")) as (unfinished, descriptor):
        shape = ("--format=custom", "--compress=0", "--encoding=UTF8", f"--file={unfinished}")
        dumping = ("pg_dump", *server.options, *shape, f"--lock-wait-timeout={LOCK_WAIT}", f"--dbname={database}")
        runner.run(dumping, timeout=timeout)
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fsync(descriptor)
        unfinished.replace(target)
    sync_folder(folder)


def describe(runner: Runner, server: Server, database: str, table: str) -> str:
    """Return a digest of the schema of `database` and of the rows of its `table`; it changes only if these do.

    Raise CommandError, also if the table does not exist, or DeadlineError.
    """
    dumping = (
        "pg_dump",
        *server.options,
        *WITHOUT,
        f"--lock-wait-timeout={DESCRIBE_LOCK_WAIT}",
        f"--dbname={database}",
    )
    # pg_dump writes \restrict and \unrestrict with a new random key each time.
    keys = "^.(un)?restrict "
    pipe = '{ "${@:3}" --schema-only; "${@:3}" --data-only --table="$1"; } | grep -E -v "$2" | sha256sum'
    found = runner.run(
        ["bash", "-e", "-o", "pipefail", "-c", pipe, "bash", table, keys, *dumping], timeout=DESCRIBE_SECONDS
    )
    return found.stdout.split()[0]


@contextmanager
def _staging_file(path: Path) -> Iterator[tuple[Path, int]]:
    """Create and open the file `path` (0600), replacing one of a killed run; remove it afterwards if still there."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
