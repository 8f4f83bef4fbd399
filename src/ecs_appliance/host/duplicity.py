"""duplicity: the predecessor's archives, encrypted to a PGP key, read and never written to."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import CommandError, Result, Runner

SECONDS = 24 * 3600
# GnuPG 1.4 needs no agent, whose sockets and processes would stay behind.
GPG = "gpg1"
TIME = r"\d{8}T\d{6}Z"
NAME = re.compile(
    rf"duplicity-(?:full|inc\.(?P<base>{TIME})\.to)\.(?P<time>{TIME})"
    r"\.(?:(?P<manifest>manifest)|vol(?P<volume>\d+)\.difftar)(?:\.gpg|\.gz)?"
)
# `Sat Dec 31 22:30:00 2016 ecs-pgdump/ecs.pgdump.gz`
LISTED = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} (?P<name>.+)")
VOLUME = re.compile(r"Processed volume (?P<done>\d+) of (?P<all>\d+)")
DAMAGE = "Invalid data"
# Passed to gpg with each call; the keys of an archive are without passphrase.
NO_PASSPHRASE = {"PASSPHRASE": "", "LC_ALL": "C.UTF-8"}


class DamagedArchiveError(ApplianceError):
    """A volume is not what was written."""


@dataclass(frozen=True)
class Moment:
    """A time that an archive can go back to: `size` bytes of it are read for that."""

    name: str
    size: int

    @property
    def time(self) -> datetime:
        """When the backup that made it began."""
        return datetime.strptime(self.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@dataclass
class _Set:
    """A backup: a full one, or what changed since the one of the time `base`.

    Its manifest is written last: a backup that was cut off has none.
    """

    base: str
    manifest: bool = False
    volumes: set[int] = field(default_factory=set)
    size: int = 0

    @property
    def gaps(self) -> list[int]:
        """The volumes that are missing, as far as the last one there tells."""
        return sorted(set(range(1, max(self.volumes, default=0))) - self.volumes)


def file_url(folder: Path) -> str:
    """What duplicity calls the folder `folder`."""
    return f"file://{quote(str(folder))}"


def rclone_url(place: str) -> str:
    """What duplicity calls rclone's `place` (REMOTE:PATH); it takes one slash away."""
    remote, _, path = place.partition(":")
    return f"rclone://{remote}:/{quote(path)}"


def is_archive(names: Iterable[str]) -> bool:
    """Whether a folder with files of these `names` is an archive of duplicity's."""
    return any(map(NAME.fullmatch, names))


def find_moments(sizes: Mapping[str, int]) -> list[Moment]:
    """The moments that an archive of these files, name to bytes, has whole, oldest first."""
    sets = _group(sizes)
    read: dict[str, int] = {}
    for time in sorted(sets):
        each = sets[time]
        if each.manifest and not each.gaps and (not each.base or each.base in read):
            read[time] = each.size + read.get(each.base, 0)
    return [Moment(time, size) for time, size in read.items()]


def find_gaps(names: Iterable[str]) -> list[str]:
    """Which volumes are missing among the files `names` of an archive: nothing that needs them can be restored."""
    sets = _group(dict.fromkeys(names, 0))
    return [
        f"volume {number} of {time}" for time, each in sorted(sets.items()) if each.manifest for number in each.gaps
    ]


def _group(sizes: Mapping[str, int]) -> dict[str, _Set]:
    sets: dict[str, _Set] = {}
    for name, size in sizes.items():
        if not (found := NAME.fullmatch(name)):
            continue
        known = sets.setdefault(found["time"], _Set(found["base"] or ""))
        known.size += size
        known.manifest |= bool(found["manifest"])
        known.volumes |= {int(found["volume"])} if found["volume"] else set()
    return sets


@dataclass(frozen=True)
class Archive:
    """An archive at `url`, as duplicity names it. `keys` is the keyring that opens it, `cache` a folder of ours."""

    runner: Runner
    url: str
    keys: Path
    cache: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def list_files(self, moment: str) -> list[str]:
        """The paths, files and folders, that it has of `moment`. Raises CommandError."""
        said = self._run("list-current-files", f"--time={moment}", self.url)
        return [found["name"] for line in said.stdout.splitlines() if (found := LISTED.fullmatch(line))]

    def restore(self, moment: str, target: Path, note: Callable[[float], None], *, damaged: bool = False) -> None:
        """Have what it has of `moment` in `target`, which is not there yet; `note` hears which part is done.

        Raises DamagedArchiveError where a volume is not what it was, or, of a `damaged` one, leaves out what was in it;
        CommandError where anything else is wrong.
        """

        def hear(line: str) -> None:
            if found := VOLUME.search(line):
                note(int(found["done"]) / int(found["all"]))
            elif DAMAGE in line and not damaged:
                # By itself it may wait for ever for a gpg that waits for it.
                raise DamagedArchiveError("a volume of the old archive is not what it was", "")

        options = ["--ignore-errors"] if damaged else []
        self._run("restore", "--verbosity=5", *options, f"--time={moment}", self.url, str(target), hear=hear)

    def _run(self, command: str, *words: str, hear: Callable[[str], None] | None = None) -> Result:
        self.cache.mkdir(mode=0o700, exist_ok=True)
        gpg = (f"--gpg-binary={GPG}", "--gpg-options=--trust-model=always")
        return self.runner.run(
            ["duplicity", command, f"--archive-dir={self.cache}", *gpg, *words],
            timeout=SECONDS,
            env={**NO_PASSPHRASE, "GNUPGHOME": str(self.keys), **self.environment},
            on_line=hear,
        )


def is_wrong_key(error: CommandError) -> bool:
    """Whether `error` is of a key that does not open the archive."""
    return "secret key not available" in error.output or "No secret key" in error.output
