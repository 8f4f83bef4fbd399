"""Recovery from an archive of the predecessor: documents and a database dump, made by duplicity."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from ecs_appliance.backup import restore
from ecs_appliance.backup.backends import plan_remote
from ecs_appliance.backup.plan import check_room, choose_snapshot
from ecs_appliance.backup.restored import disarm
from ecs_appliance.backup.run import DUMP, Installation
from ecs_appliance.backup.target import OLD_ARCHIVE, local_folder
from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.files import private_folder, read_optional, sync_folder, write_atomic
from ecs_appliance.core.runner import CommandError
from ecs_appliance.core.state import StateFile
from ecs_appliance.host import apt, dumps, duplicity, gpg, postgres, rclone, systemd
from ecs_appliance.host.cluster import UNIT
from ecs_appliance.host.duplicity import DamagedArchiveError, DuplicityArchive, Moment
from ecs_appliance.host.restic import OnProgress, Repository, Snapshot

log = logging.getLogger(__name__)

APP = "app"
# What is restored from an archive; the rest of /data is created from env.yml.
TAKEN = ("ecs-ca", "ecs-pgdump", "ecs-storage-vault")
DUMPED = f"ecs-pgdump/{DUMP}.gz"
STAGE = ".old-archive."
# File in the stage with the names of what was set aside, which does not count as lost.
SET_ASIDE = "set-aside.json"
# How many moments an error message lists.
SHOWN = 10
LOCALE = "de_DE.utf8"
LOAD_SECONDS = 24 * 3600
CHOWN_SECONDS = 6 * 3600
UP_SECONDS = 60
ELSEWHERE = (
    "no backups are made while appliance.backup.url names the old archive: set it to an empty target, then: "
    "env-update.sh; appliance backup run"
)


@dataclass(frozen=True)
class Predecessor:
    """An archive of the predecessor at the target `shown`, for `machine` (see RecoverySource).

    `gaps` are missing volumes; `commands` are the programs that read it, each from the Debian package of that name.
    """

    machine: Installation
    archive: DuplicityArchive
    shown: str
    moments: tuple[Moment, ...]
    gaps: tuple[str, ...]
    commands: tuple[str, ...]
    advice: str = ELSEWHERE
    older: str = "an earlier backup in the old archive may contain them"

    def choose(self, wanted: str, until: datetime | None) -> Snapshot:
        """Return the last backup made at or before `until`; there is nothing between two (see RecoverySource)."""
        found = [Snapshot(moment.name, moment.time, "", (), ()) for moment in self.moments]
        if self.gaps:
            log.warning("the old archive lacks %s; backups that need them are skipped", ", ".join(self.gaps))
        if not found:
            raise RefusedError(
                f"no backup in the old archive at {self.shown} is complete", "are some of its files in another place?"
            )
        if wanted:
            return self._named(found, wanted)
        if until is None:
            return choose_snapshot(found)
        before = [snapshot for snapshot in found if snapshot.time <= until]
        if not before:
            raise RefusedError(
                f"the first backup was made at {found[0].time.astimezone():%Y-%m-%d %H:%M:%S}", "choose a later time"
            )
        return before[-1]

    def _named(self, found: Sequence[Snapshot], wanted: str) -> Snapshot:
        meant = [snapshot for snapshot in found if snapshot.id.startswith(wanted)]
        if len(meant) != 1:
            last = ", ".join(snapshot.id for snapshot in found[-SHOWN:])
            raise RefusedError(
                f"{wanted} matches {len(meant)} backups of the old archive, not exactly one", f"the latest are {last}"
            )
        return meant[0]

    def check_space(self, snapshot: Snapshot) -> int:
        """Return the bytes to read; twice that must be free (documents are encrypted and do not grow)."""
        size = next(moment.size for moment in self.moments if moment.name == snapshot.id)
        check_room(2 * size, shutil.disk_usage(self.machine.paths.data).free, str(self.machine.paths.data))
        return size

    def prepare(self, snapshot: Snapshot) -> None:
        """Check that the archive opens and contains a dump (see RecoverySource)."""
        if DUMPED not in self._listed(snapshot.id):
            raise RefusedError(
                f"the old archive has no {DUMPED} from {snapshot.time.astimezone():%Y-%m-%d %H:%M:%S}",
                "choose another time: --to TIME",
            )

    def move_aside(self) -> list[str]:
        """Rename the database; folders are moved when those of the archive are complete (see RecoverySource)."""
        name = self.machine.env.ecs.database
        self._start_server()
        if not postgres.database_exists(self.machine.server, name):
            return []
        if postgres.is_empty(self.machine.server, name):
            postgres.drop_database(self.machine.server, name)
            return []
        aside = f"{name}.before-{restore.stamp()}"
        postgres.rename_database(self.machine.server, name, aside)
        return [f"database {aside}"]

    def restore_files(self, snapshot: str, on_progress: OnProgress) -> tuple[str, ...]:
        """Fetch all into a stage first, then move it in place. Raises ApplianceError if more than documents is lost."""
        data, vault = self.machine.paths.data, f"{self.machine.paths.vault.name}/"
        # A recovery from another moment may already have loaded its database.
        self.move_aside()
        listed = self._listed(snapshot)
        stage = self._fetch(snapshot, listed, on_progress)
        places = {name: data if _is_taken(stage, name) else stage for name in TAKEN}
        aside = set(_set_aside(stage).read() or [])
        there = [name for name in listed if os.path.lexists(places[name.partition("/")[0]] / name)]
        lost = sorted(set(listed) - set(there) - aside)
        others = [name for name in lost if not name.startswith(vault)]
        if others:
            raise ApplianceError(
                f"the old archive is damaged: {len(others)} files are lost, among them {', '.join(others[:5])}",
                "choose another time: appliance recover --yes --snapshot TIME; --plan shows the latest",
            )
        for name in TAKEN:
            self._take(stage, name)
        self._remember()
        # Renamed first: a partly deleted stage would look like an archive with lost files.
        done = stage.rename(_unfinished(stage))
        shutil.rmtree(done)
        shutil.rmtree(self.archive.cache, ignore_errors=True)
        return tuple(name.removeprefix(vault) for name in lost)

    def restore_database(self, snapshot: str, until: datetime | None) -> None:
        """Load the dump under a temporary name and rename it when complete (see RecoverySource)."""
        name, server = self.machine.env.ecs.database, self.machine.server
        self._start_server()
        # A non-empty one is ours: any other was renamed before.
        if postgres.database_exists(server, name) and not postgres.is_empty(server, name):
            return
        unfinished = f"{name}.recovering"
        postgres.drop_database(server, unfinished)
        postgres.create_database(server, unfinished, LOCALE)
        try:
            dumps.load(self.machine.runner, server, self.machine.paths.data / DUMPED, unfinished, timeout=LOAD_SECONDS)
        except CommandError as error:
            postgres.drop_database(server, unfinished)
            raise ApplianceError(
                f"the dump in the old archive cannot be read: {error.output or error.message}",
                "choose another time: appliance recover --yes --snapshot TIME; --plan shows the latest",
            ) from None
        postgres.drop_database(server, name)
        postgres.rename_database(server, unfinished, name)

    def taken(self, snapshot: str, until: datetime | None) -> datetime:
        """Return when the backup began."""
        return Moment(snapshot, 0).time

    def _listed(self, moment: str) -> list[str]:
        """Return the files of `moment` that are restored. Raises RefusedError for a wrong key."""
        apt.provide(self.machine.paths, self.machine.runner, self.commands)
        try:
            listed = self.archive.list_files(moment)
        except CommandError as error:
            if not duplicity.is_wrong_key(error):
                raise
            raise RefusedError(
                f"the old archive at {self.shown} is encrypted for a different key than appliance.backup.encrypt",
                "set appliance.backup.encrypt to the private key that the archive was created with",
            ) from None
        folders = {str(folder) for name in listed for folder in PurePosixPath(name).parents}
        return [name for name in listed if name not in folders and name.partition("/")[0] in TAKEN]

    def _fetch(self, moment: str, listed: Sequence[str], on_progress: OnProgress) -> Path:
        """Fetch `moment` and return its folder; SET_ASIDE in it names those of `listed` that were set aside."""
        stage = self.machine.paths.data / f"{STAGE}{moment}"
        if stage.exists():
            return stage
        for left in stage.parent.glob(f"{STAGE}*"):
            shutil.rmtree(left)
        unfinished = _unfinished(stage)

        def on_fraction(done: float) -> None:
            on_progress({"message_type": "status", "percent_done": done})

        try:
            self.archive.restore(moment, unfinished, on_fraction)
        except DamagedArchiveError as error:
            log.warning("%s: restoring what is intact", error.message)
            shutil.rmtree(unfinished, ignore_errors=True)
            self.archive.restore(moment, unfinished, on_fraction, damaged=True)
        whole = [name for name in listed if os.path.lexists(unfinished / name)]
        for line in disarm(unfinished, TAKEN, self.machine.paths.data / f"{restore.ASIDE}-{restore.stamp()}"):
            log.warning("%s", line)
        odd = [name for name in whole if not os.path.lexists(unfinished / name)]
        _set_aside(unfinished).write(odd)
        # Account ids differ between machines.
        self.machine.runner.run(["chown", "--recursive", f"{APP}:", unfinished], timeout=CHOWN_SECONDS)
        os.sync()
        unfinished.rename(stage)
        sync_folder(stage.parent)
        return stage

    def _remember(self) -> None:
        """Record that no backup may go there: on a server nobody would recognize it. A known repository is kept."""
        place = self.machine.paths.backup_repository
        if (read_optional(place) or OLD_ARCHIVE).startswith(OLD_ARCHIVE):
            write_atomic(place, f"{OLD_ARCHIVE}{self.shown}\n", mode=0o644)

    def _take(self, stage: Path, name: str) -> None:
        fetched, place = stage / name, self.machine.paths.data / name
        if not fetched.is_dir():
            return
        write_atomic(_mark(stage, name), "")
        if aside := restore.rename_aside(place):
            log.info("moved aside: %s", aside)
        fetched.rename(place)
        sync_folder(place.parent)

    def _start_server(self) -> None:
        systemd.start(self.machine.runner, UNIT)
        postgres.wait_ready(self.machine.server, deadline=UP_SECONDS)


def _set_aside(stage: Path) -> StateFile[list[str]]:
    return StateFile(stage / SET_ASIDE, list[str])


def _unfinished(stage: Path) -> Path:
    return stage.with_name(f"{stage.name}.unfinished")


def _mark(stage: Path, name: str) -> Path:
    """Return the file that exists in `stage` once its folder `name` is being moved in place."""
    return stage / f"{name}.taken"


def _is_taken(stage: Path, name: str) -> bool:
    """Return whether the folder `name` of `stage` was moved in place before an interruption."""
    return _mark(stage, name).exists() and not (stage / name).exists()


@contextmanager
def predecessor_at(machine: Installation, repository: Repository) -> Iterator[Predecessor | None]:
    """Yield the predecessor's archive at the target of `repository`; None if there is none.

    Raises RefusedError if the target cannot be one, CommandError if it does not answer.
    """
    with private_folder(machine.paths.run, "old-archive") as folder:
        url, environment, sizes = _look(machine, repository, folder)
        if not duplicity.is_archive(sizes):
            yield None
            return
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        gpg.import_keys(machine.runner, keys, machine.env.appliance.backup.encrypt.get_secret_value().encode())
        cache = machine.paths.volatile / "duplicity"
        archive = DuplicityArchive(machine.runner, url, keys, cache, environment)
        commands = ("duplicity", "rclone") if environment else ("duplicity",)
        moments, gaps = tuple(duplicity.find_moments(sizes)), tuple(duplicity.find_gaps(sizes))
        yield Predecessor(machine, archive, repository.shown, moments, gaps, commands)


def _look(machine: Installation, repository: Repository, folder: Path) -> tuple[str, Mapping[str, str], dict[str, int]]:
    """Return duplicity's URL of the target, the environment it needs, and the files there (name to bytes)."""
    place = local_folder(repository)
    if place is not None:
        found = place.iterdir() if place.is_dir() else ()
        return duplicity.file_url(place), {}, {entry.name: entry.lstat().st_size for entry in found}
    runner = machine.runner
    store = plan_remote(machine.env.appliance.backup, folder, lambda secret: rclone.obscured(runner, secret))
    if store is None:
        return "", {}, {}
    apt.provide(machine.paths, runner, ("rclone",))
    for name, text in store.files.items():
        write_atomic(folder / name, text)
    remote = store.location.removeprefix("rclone:")
    return duplicity.rclone_url(remote), store.environment, rclone.list_files(runner, remote, store.environment)
