"""Simulated drives: blkid, mount and umount answered from the bytes of real disc images."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pycdlib import PyCdlib
from pycdlib.pycdlibexception import PyCdlibException

from tests.fakes import Answer

SECTOR = 2048
# ECMA-119, 8.4: the label is in the first volume descriptor; a disc truncated after it still has one.
LABEL = slice(16 * SECTOR + 40, 16 * SECTOR + 72)
NO_SUCH_LABEL = 2
MOUNT_FAILED = 32


@dataclass
class Bay:
    """The drives below `root`, and its list of mounts."""

    root: Path
    images: dict[Path, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mounts = self.root / "proc/self/mounts"
        self.mounts.parent.mkdir(parents=True)
        self.mounts.write_text("sysfs /sys sysfs rw 0 0\n")

    def insert(self, image: bytes, name: str = "sr0") -> Path:
        """Insert a disc into a drive, and return its device."""
        device = self.root / "dev" / name
        device.parent.mkdir(exist_ok=True)
        device.touch()
        self.images[device] = image
        return device

    def answer(self, words: list[str]) -> Answer:
        """Answer as the program `words[0]` would."""
        return {"blkid": self.blkid, "mount": self.mount, "umount": self.umount}[words[0]](words)

    def blkid(self, words: list[str]) -> Answer:
        """Find devices by label, comparing the whole label, case-sensitively."""
        wanted = words[-1].removeprefix("LABEL=")
        found = [str(device) for device, image in self.images.items() if image[LABEL].decode().rstrip() == wanted]
        return (0, "\n".join(found) + "\n", "") if found else (NO_SUCH_LABEL, "", "")

    def mount(self, words: list[str]) -> Answer:
        """Write the files that the kernel would show for the image into the folder."""
        device, folder = map(Path, words[-2:])
        try:
            files = kernel_view(self.images[device])
        except PyCdlibException:
            return (MOUNT_FAILED, "", f"mount: {folder}: can't read superblock on {device}.")
        for name, data in files.items():
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data)
        escaped = str(folder).replace(" ", "\\040")
        self.mounts.write_text(f"{self.mounts.read_text()}{device} {escaped} iso9660 ro 0 0\n")
        return (0, "", "")

    def umount(self, words: list[str]) -> Answer:
        """Empty the folder again."""
        folder = Path(words[-1])
        shutil.rmtree(folder)
        folder.mkdir()
        lines = [line for line in self.mounts.read_text().splitlines() if f" {folder} " not in line]
        self.mounts.write_text("\n".join(lines) + "\n")
        return (0, "", "")


def kernel_view(image: bytes) -> dict[str, bytes | None]:
    """Return the disc's root folder by the names that Linux shows: Rock Ridge, else Joliet, else plain names.

    Plain names are lower case, without a version. A folder's content is None. Raises PyCdlibException.
    """
    disc = PyCdlib()
    disc.open_fp(io.BytesIO(image))
    try:
        return dict(_entries(disc))
    finally:
        disc.close()


def _entries(disc: PyCdlib) -> Iterator[tuple[str, bytes | None]]:
    space = "rr_path" if disc.has_rock_ridge() else "joliet_path" if disc.has_joliet() else "iso_path"
    for _, folders, files in disc.walk(**{space: "/"}):
        for name in folders:
            yield _shown(name, space), None
        for name in files:
            data = io.BytesIO()
            disc.get_file_from_iso_fp(data, **{space: f"/{name}"})
            yield _shown(name, space), data.getvalue()
        return


def _shown(name: str, space: str) -> str:
    return name.lower().removesuffix(";1").removesuffix(".") if space == "iso_path" else name
