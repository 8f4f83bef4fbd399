"""Build QEMU's command line for a virtual machine: processor, drives, kernel, credentials through the firmware."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Software emulation, which works wherever QEMU does. Version 7.2 emulates cmpxchg16b wrongly. With more than one
# processor, the kernel occasionally panics, as code that it patches at run time is seen half patched.
PROCESSOR = ("-accel", "tcg", "-cpu", "Nehalem,-cx16", "-smp", "1")
# Emulated, mitigations for flaws of real processors take a third of the time.
KERNEL_OPTIONS = "console=ttyS0 panic=1 mitigations=off"
# No reboot: a kernel panic or a reboot ends the machine.
MACHINE = ("-machine", "q35", "-nodefaults", "-no-reboot", "-display", "none")
# An address by DHCP, but no access to the outside.
NETWORK = ("-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net")
RANDOM = ("-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random")
MEMORY_MIB = 1024


@dataclass(frozen=True)
class Drive:
    """A drive backed by the file `image` on this host; what the machine writes is discarded unless `kept`.

    The first is /dev/vda in the machine, except that CD-ROM drives are /dev/sr0 and so on.
    """

    image: Path
    cdrom: bool = False
    kept: bool = False


@dataclass(frozen=True)
class Kernel:
    """A kernel booted without a boot loader, with `options` in addition to those that every machine gets."""

    image: Path
    initrd: Path
    options: str = "root=/dev/vda rw"


def plan_qemu(
    drives: Sequence[Drive],
    *,
    kernel: Kernel | None,
    console: Path,
    port: tuple[str, int],
    credentials: Mapping[str, str],
    memory: int = MEMORY_MIB,
) -> list[str]:
    """Return the command that runs the machine; it is killed when the thread that started it ends.

    `console` gets the output of the machine's serial console. `port` is the name of a virtio port in the machine, and
    the descriptor of the connected socket at its other end. `credentials` are for systemd in the machine (name → text);
    every process on this host can read them. `memory` is in MiB.
    """
    return [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        "qemu-system-x86_64",
        *MACHINE,
        *PROCESSOR,
        *("-m", str(memory)),
        *NETWORK,
        *RANDOM,
        *("-serial", f"file:{_escaped(console)}"),
        *_port(*port),
        *("-device", "virtio-scsi-pci"),
        *(word for number, drive in enumerate(drives) for word in _drive(number, drive)),
        *(word for credential in credentials.items() for word in _credential(*credential)),
        *(_kernel(kernel) if kernel else ()),
    ]


def _drive(number: int, drive: Drive) -> tuple[str, ...]:
    how = "readonly=on,media=cdrom" if drive.cdrom else f"snapshot={'off' if drive.kept else 'on'}"
    device = "scsi-cd" if drive.cdrom else "virtio-blk-pci"
    backend = f"file={_escaped(drive.image)},format=raw,if=none,id=drive{number},{how}"
    return ("-drive", backend, "-device", f"{device},drive=drive{number}")


def _port(name: str, descriptor: int) -> tuple[str, ...]:
    return (
        *("-chardev", f"socket,id=port,fd={descriptor}"),
        *("-device", "virtio-serial-pci", "-device", f"virtserialport,chardev=port,name={name}"),
    )


def _kernel(kernel: Kernel) -> tuple[str, ...]:
    options = f"{KERNEL_OPTIONS} {kernel.options}"
    return ("-kernel", str(kernel.image), "-initrd", str(kernel.initrd), "-append", options)


def _credential(name: str, text: str) -> tuple[str, str]:
    encoded = base64.b64encode(text.encode()).decode()
    return ("-smbios", f"type=11,value=io.systemd.credential.binary:{name}={encoded}")


def _escaped(path: Path) -> str:
    """Return `path` as the value of an option, with commas doubled."""
    return str(path).replace(",", ",,")
