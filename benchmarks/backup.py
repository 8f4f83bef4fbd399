"""Compare backups with duplicity as the predecessor ran it, and with the practical limits: cp -a, and tar through age.

Run it on an appliance, as root, with duplicity and age installed, and 14 GB free:
cd /app/appliance; .venv/bin/python -m benchmarks.backup [--files 6000] [--rounds 3] [--folder /volatile/bench]
Goals: a full backup in at most 1.6 times cp -a, a restore in at most 1.3 times.

All run in turns on the same data, with warm caches. Each measurement includes a sync, so that everything is on disk.
"""

import argparse
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host.restic import Repository

RUNNER = SystemRunner()
LIMIT = 3600.0
# A typical vault: incompressible files of a third of a megabyte, four per folder; and a dump.
FILE_BYTES, FILES_A_FOLDER, DUMP_BYTES = 339_000, 4, 204_000_000
CHANGED = 100
ONE = "vault/00/1/file"
STEPS = ("full", "no change", "+1 %", "restore", "one file", "check")


@dataclass
class Ours:
    """restic, as the appliance runs it."""

    folder: Path
    name: str = "ours"
    last: str = ""

    @property
    def repository(self) -> Repository:
        place = self.folder / "ours"
        return Repository(RUNNER, str(place / "repository"), "bench", "a password", place / "cache")

    def prepare(self) -> None:
        self.repository.create()

    def full(self, data: Path) -> None:
        self.again(data)

    def again(self, data: Path) -> None:
        made = self.repository.save([data], host="bench", tags=["bench"], excludes=(), on_progress=lambda _: None)
        self.last = made.id

    def restore(self, data: Path, target: Path) -> None:
        self.repository.restore(self.last, data, target, lambda _: None)

    def one(self, data: Path, target: Path) -> None:
        file = Path(ONE)
        only = [f"/{file.name}"]
        self.repository.restore(self.last, data / file.parent, target / file.parent, lambda _: None, only=only)

    def check(self, data: Path) -> None:
        self.repository.check(subset="100%")


@dataclass
class Duplicity:
    """duplicity, as the predecessor ran it: encrypted to a key, volumes of 25 MB."""

    folder: Path
    name: str = "duplicity"

    def _run(self, *words: str | Path) -> None:
        place = self.folder / "duplicity"
        environment = {"GNUPGHOME": str(place / "gpg"), "PASSPHRASE": ""}
        options = [f"--encrypt-key={self._key()}", "--volsize=25", f"--archive-dir={place / 'cache'}"]
        options += ["--no-print-statistics", "--gpg-options=--trust-model=always", "--verbosity=1"]
        RUNNER.run(["duplicity", words[0], *options, *words[1:]], timeout=LIMIT, env=environment)

    def _key(self) -> str:
        """Return the fingerprint of the key, which is created if there is none."""
        home = self.folder / "duplicity/gpg"
        environment = {"GNUPGHOME": str(home)}
        if not home.exists():
            home.mkdir(mode=0o700, parents=True)
            make = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "bench", "rsa2048", "encr", "never"]
            RUNNER.run(make, timeout=LIMIT, env=environment)
        listed = RUNNER.run(["gpg", "--with-colons", "--list-keys"], timeout=LIMIT, env=environment).lines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    @property
    def url(self) -> str:
        return f"file://{self.folder}/duplicity/target"

    def prepare(self) -> None:
        self._key()

    def full(self, data: Path) -> None:
        self._run("full", data, self.url)

    def again(self, data: Path) -> None:
        self._run("incremental", data, self.url)

    def restore(self, data: Path, target: Path) -> None:
        self._run("restore", self.url, target / "all")

    def one(self, data: Path, target: Path) -> None:
        self._run("restore", f"--path-to-restore={ONE}", self.url, target / "file")

    def check(self, data: Path) -> None:
        self._run("verify", self.url, data)


@dataclass
class Copy:
    """cp -a: an unencrypted copy of a single state."""

    folder: Path
    name: str = "cp -a"

    def prepare(self) -> None:
        """Do nothing."""

    def full(self, data: Path) -> None:
        RUNNER.run(["cp", "-a", data, self.folder / "copy"], timeout=LIMIT)

    def again(self, data: Path) -> None:
        RUNNER.run(["cp", "-a", "--update", f"{data}/.", self.folder / "copy"], timeout=LIMIT)

    def restore(self, data: Path, target: Path) -> None:
        RUNNER.run(["cp", "-a", self.folder / "copy", target / "all"], timeout=LIMIT)

    def one(self, data: Path, target: Path) -> None:
        RUNNER.run(["cp", "-a", self.folder / "copy" / ONE, target], timeout=LIMIT)

    def check(self, data: Path) -> None:
        RUNNER.run(["diff", "--recursive", "--brief", data, self.folder / "copy"], timeout=LIMIT)


@dataclass
class Age:
    """tar piped through age: encrypted, everything each time."""

    folder: Path
    name: str = "tar | age"

    def _sh(self, script: str) -> None:
        RUNNER.run(["sh", "-euc", script], timeout=LIMIT)

    def prepare(self) -> None:
        place = self.folder / "age"
        place.mkdir()
        self._sh(f"age-keygen -o {place}/key 2>/dev/null; age-keygen -y {place}/key > {place}/public")

    def full(self, data: Path) -> None:
        self.again(data)

    def again(self, data: Path) -> None:
        place = self.folder / "age"
        self._sh(f"tar -C {data} -cf - . | age -R {place}/public -o {place}/archive")

    def restore(self, data: Path, target: Path) -> None:
        self._sh(f"age -d -i {self.folder}/age/key {self.folder}/age/archive | tar -C {target} -xf -")

    def one(self, data: Path, target: Path) -> None:
        self._sh(f"age -d -i {self.folder}/age/key {self.folder}/age/archive | tar -C {target} -xf - ./{ONE}")

    def check(self, data: Path) -> None:
        self._sh(f"age -d -i {self.folder}/age/key {self.folder}/age/archive | tar -tf - > /dev/null")


Engine = Ours | Duplicity | Copy | Age


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=6000, help="number of files to back up (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path("/volatile/bench"), help="new folder for all data (default: %(default)s)"
    )
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True)
    try:
        data = make_data(wanted.folder / "data", wanted.files)
        seconds: dict[str, dict[str, list[float]]] = {}
        for number in range(wanted.rounds):
            run_round(wanted.folder, data, number, seconds)
        show(seconds)
    finally:
        shutil.rmtree(wanted.folder)


def make_data(data: Path, files: int) -> Path:
    for number in range(files):
        folder, name = divmod(number, FILES_A_FOLDER)
        file = data / "vault" / f"{folder % 100:02}" / str(folder // 100 + 1) / ("file" if not name else f"file{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(FILE_BYTES))
    (data / "dump").write_bytes(os.urandom(DUMP_BYTES))
    return data


def change(data: Path) -> None:
    """Add one file per hundred, and overwrite a tenth of the dump."""
    for number, folder in enumerate(sorted((data / "vault").glob("*/*"))):
        if number % (CHANGED // FILES_A_FOLDER) == 0:
            (folder / f"new-{time.time_ns()}").write_bytes(os.urandom(FILE_BYTES))
    with (data / "dump").open("r+b") as dump:
        dump.seek(random.randrange(DUMP_BYTES // 10 * 9))
        dump.write(os.urandom(DUMP_BYTES // 10))


def run_round(folder: Path, data: Path, number: int, seconds: dict[str, dict[str, list[float]]]) -> None:
    place = folder / "round"
    place.mkdir()
    engines: list[Engine] = [Ours(place), Duplicity(place), Copy(place), Age(place)]
    # Rotated, so that none is always first.
    engines = engines[number % 4 :] + engines[: number % 4]
    for engine in engines:
        # Keys and repository: created once.
        taken = timed(engine.prepare)
        print(f"round {number + 1}: prepare    {engine.name:<10} {taken:7.2f} s", flush=True)
    for step in STEPS:
        if step == "+1 %":
            change(data)
        for engine in engines:
            target = place / "restored"
            target.mkdir()
            taken = timed(lambda step=step, engine=engine, target=target: perform(step, engine, data, target))  # type: ignore[misc]
            seconds.setdefault(step, {}).setdefault(engine.name, []).append(taken)
            print(f"round {number + 1}: {step:<10} {engine.name:<10} {taken:7.2f} s", flush=True)
            shutil.rmtree(target)
    shutil.rmtree(place)


def perform(step: str, engine: Engine, data: Path, target: Path) -> None:
    match step:
        case "full":
            engine.full(data)
        case "restore":
            engine.restore(data, target)
        case "one file":
            engine.one(data, target)
        case "check":
            engine.check(data)
        case _:
            engine.again(data)


def timed(work: Callable[[], None]) -> float:
    os.sync()
    began = time.monotonic()
    work()
    os.sync()
    return time.monotonic() - began


def show(seconds: dict[str, dict[str, list[float]]]) -> None:
    print("\nmedian seconds (least–most), ratio to cp -a")
    for step, found in seconds.items():
        base = statistics.median(found["cp -a"])
        for name in ("ours", "duplicity", "cp -a", "tar | age"):
            times = found[name]
            median = statistics.median(times)
            print(f"{step:<10} {name:<10} {median:7.2f}  ({min(times):.2f}–{max(times):.2f})  {median / base:6.2f}")


if __name__ == "__main__":
    main()
