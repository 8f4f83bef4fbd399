"""duplicity: read the predecessor's archives, which are encrypted to a PGP key; never write to them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import CommandError, Result, Runner

SECONDS = 24 * 3600
# GnuPG 1.4 needs no agent, which would leave sockets and processes behind.
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
# For each call of gpg; the keys of an archive have no passphrase.
NO_PASSPHRASE = {"PASSPHRASE": "", "LC_ALL": "C.UTF-8"}


class DamagedArchiveError(ApplianceError):
    """A volume is damaged."""


@dataclass(frozen=True)
class Moment:
    """A point in time that an archive can restore, which reads `size` bytes of it."""

    name: str
    size: int

    @property
    def time(self) -> datetime:
        """When the backup that created it began."""
        return datetime.strptime(self.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@dataclass
class _Set:
    """A backup: a full one (`base` is ""), or an incremental one on top of that of the time `base`.

    The manifest is written last, so an interrupted backup has none.
    """

    base: str
    manifest: bool = False
    volumes: set[int] = field(default_factory=set)
    size: int = 0

    @property
    def gaps(self) -> list[int]:
        """The missing volumes, as far as the highest existing number shows."""
        return sorted(set(range(1, max(self.volumes, default=0))) - self.volumes)


def file_url(folder: Path) -> str:
    """Return duplicity's URL of the folder `folder`."""
    return f"file://{quote(str(folder))}"


def rclone_url(place: str) -> str:
    """Return duplicity's URL of rclone's `place` (REMOTE:PATH); duplicity removes one slash from it."""
    remote, _, path = place.partition(":")
    return f"rclone://{remote}:/{quote(path)}"


def is_archive(names: Iterable[str]) -> bool:
    """Return whether a folder with files of these `names` is a duplicity archive."""
    return any(map(NAME.fullmatch, names))


def find_moments(sizes: Mapping[str, int]) -> list[Moment]:
    """Return the moments that an archive of these files (name to bytes) can restore completely, oldest first."""
    sets = _group(sizes)
    read: dict[str, int] = {}
    for time in sorted(sets):
        each = sets[time]
        if each.manifest and not each.gaps and (not each.base or each.base in read):
            read[time] = each.size + read.get(each.base, 0)
    return [Moment(time, size) for time, size in read.items()]


def find_gaps(names: Iterable[str]) -> list[str]:
    """Return which volumes are missing among the files `names` of an archive; what needs them cannot be restored."""
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
class DuplicityArchive:
    """An archive at `url` in duplicity's notation. `keys` is the folder of its keyring, `cache` a folder of our own."""

    runner: Runner
    url: str
    keys: Path
    cache: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def list_files(self, moment: str) -> list[str]:
        """Return the paths of files and folders at `moment`. Raise CommandError."""
        said = self._run("list-current-files", f"--time={moment}", self.url)
        return [found["name"] for line in said.stdout.splitlines() if (found := LISTED.fullmatch(line))]

    def restore(
        self, moment: str, target: Path, on_progress: Callable[[float], None], *, damaged: bool = False
    ) -> None:
        """Restore `moment` into `target`, which must not exist yet; pass `on_progress` the completed fraction, 0 to 1.

        Raise DamagedArchiveError if a volume is damaged; with `damaged`, skip its contents instead. Raise CommandError
        for any other failure.
        """

        def on_line(line: str) -> None:
            if found := VOLUME.search(line):
                on_progress(int(found["done"]) / int(found["all"]))
            elif DAMAGE in line and not damaged:
                # Otherwise duplicity and gpg may wait for each other forever.
                raise DamagedArchiveError("a volume of the old archive is damaged", "")

        options = ["--ignore-errors"] if damaged else []
        self._run("restore", "--verbosity=5", *options, f"--time={moment}", self.url, str(target), on_line=on_line)

    def _run(self, command: str, *words: str, on_line: Callable[[str], None] | None = None) -> Result:
        self.cache.mkdir(mode=0o700, exist_ok=True)
        gpg = (f"--gpg-binary={GPG}", "--gpg-options=--trust-model=always")
        return self.runner.run(
            ["duplicity", command, f"--archive-dir={self.cache}", *gpg, *words],
            timeout=SECONDS,
            env={**NO_PASSPHRASE, "GNUPGHOME": str(self.keys), **self.environment},
            on_line=on_line,
        )


def is_wrong_key(error: CommandError) -> bool:
    """Return whether `error` means that the key does not open the archive."""
    return "secret key not available" in error.output or "No secret key" in error.output
