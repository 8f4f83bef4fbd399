"""Environments on labelled drives: cloud-init's `cidata` and OpenStack's `config-2`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import ProcessError, Runner
from ecs_appliance.env.source import FoundEnv, SourceError, SourceKind, read_present, user_data

TOOL_SECONDS = 30
NOT_FOUND = 2
# Common on discs and USB sticks. The kernel's other drivers are not hardened against malicious filesystems.
FILESYSTEMS = ("iso9660", "vfat")


class Drives(Protocol):
    """Finds drives by label and mounts them."""

    def find(self, label: str) -> Path | None:
        """Return the device whose filesystem has `label`, None if there is none."""
        ...

    def opened(self, device: Path) -> AbstractContextManager[Path]:
        """Yield a folder with the files of `device`. Raise SourceError if it cannot be mounted."""
        ...


@dataclass(frozen=True)
class DriveSource:
    """The first of `files` on the drive labelled `label`, or `label` in capitals, as on FAT."""

    label: str
    files: Sequence[str]
    drives: Drives

    def detect(self) -> bool:
        return self._device() is not None

    def get(self) -> FoundEnv | None:
        """Return the environment; None if the file is missing or empty. Raise SourceError."""
        device = self._device()
        if device is None:
            return None
        with self.drives.opened(device) as folder:
            for name in self.files:
                origin = f"drive {self.label} ({device}, {name})"
                data = read_present(folder / name, origin)
                if data is not None:
                    return user_data(data, origin, SourceKind.DRIVE)
        return None

    def _device(self) -> Path | None:
        return self.drives.find(self.label) or self.drives.find(self.label.upper())


@dataclass(frozen=True)
class SystemDrives:
    """The drives of this machine, accessed with blkid and mount."""

    paths: Paths
    runner: Runner
    filesystems: Sequence[str] = FILESYSTEMS

    def find(self, label: str) -> Path | None:
        """See Drives.find. Probes every drive, because the cache used by blkid -L may name one that is gone."""
        search = ["blkid", "-c", "/dev/null", "-o", "device", "-t", f"LABEL={label}"]
        found = self.runner.run(search, timeout=TOOL_SECONDS, ok=(0, NOT_FOUND)).lines()
        return Path(found[0]) if found else None

    @contextmanager
    def opened(self, device: Path) -> Iterator[Path]:
        """See Drives.opened. Uses an existing mount as it is; else mounts read-only, and unmounts afterwards."""
        ours = self.paths.run / "drive"
        folder = self._mounted_at(device)
        if folder is None:
            self._mount(device, ours)
            folder = ours
        try:
            yield folder
        finally:
            # Also a mount left behind by a killed run.
            if folder == ours:
                self.runner.run(["umount", ours], timeout=TOOL_SECONDS)
                ours.rmdir()

    def _mount(self, device: Path, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            options = ["-t", ",".join(self.filesystems), "-o", "ro,nosuid,nodev,noexec"]
            self.runner.run(["mount", *options, device, folder], timeout=TOOL_SECONDS)
        except ProcessError as error:
            folder.rmdir()
            expected = " or ".join(self.filesystems)
            raise SourceError(f"the drive {device} cannot be mounted as {expected}: {error.message}") from None

    def _mounted_at(self, device: Path) -> Path | None:
        """Return where `device` is mounted with one of `filesystems`, None if it is not."""
        for line in self.paths.at("/proc/self/mounts").read_text().splitlines():
            mounted, folder, filesystem = (_unescaped(word) for word in line.split(" ")[:3])
            is_same = mounted.startswith("/") and Path(mounted).resolve() == device.resolve()
            if is_same and filesystem in self.filesystems:
                return Path(folder)
        return None


def _unescaped(word: str) -> str:
    """Decode the kernel's octal escapes of white space and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda escaped: chr(int(escaped[1], 8)), word)
