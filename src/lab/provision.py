"""Turn an unpacked base image into a particular machine, with its name, address, certificates and keys."""

import shutil
from pathlib import Path

from ecs_appliance.core.files import point_symlink, write_atomic
from ecs_appliance.core.runner import Runner
from lab.network import MachineNetwork

# Certificates that this host's administrator added, such as a closed network's own authorities.
EXTRA_AUTHORITIES = Path("/usr/local/share/ca-certificates")
SECONDS = 120.0
# On a real machine systemd propagates its mounts to the namespaces of services. In a container it leaves them private;
# docker could then not remove a container whose mounts another service holds.
SHARED_ROOT = """\
[Unit]
Description=Share mounts with services, as on a machine of its own
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --make-rshared /
"""


def provision_root(root: Path, network: MachineNetwork, runner: Runner) -> None:
    """Turn the tree at `root` into the machine of `network`; it must not have been booted as that yet."""
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {network.name}\n::1 localhost ip6-localhost ip6-loopback\n"
    write_atomic(root / "etc/hostname", f"{network.name}\n", mode=0o644)
    write_atomic(root / "etc/hosts", hosts, mode=0o644)
    write_atomic(root / "etc/systemd/network/10-host0.network", network.guest_config(), mode=0o644)
    # The repositories belong to this host's root; otherwise git refuses those of another account.
    write_atomic(root / "etc/gitconfig", "[safe]\n\tdirectory = /srv/git/*\n", mode=0o644)
    write_atomic(root / "etc/systemd/system/shared-root.service", SHARED_ROOT, mode=0o644)
    point_symlink(root / "etc/systemd/system/sysinit.target.wants/shared-root.service", "../shared-root.service")
    runner.run(["chroot", root, "ssh-keygen", "-A"], timeout=SECONDS)
    trust_authorities(root, runner)


def forget_identity(root: Path) -> None:
    """Remove what two machines must not share, machine id and ssh host keys, from the copy of a machine at `root`."""
    write_atomic(root / "etc/machine-id", "", mode=0o444)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def trust_authorities(root: Path, runner: Runner) -> None:
    """Make the machine at `root` trust the authorities that this host's administrator added."""
    added = sorted(EXTRA_AUTHORITIES.rglob("*.crt"))
    for certificate in added:
        shutil.copy(certificate, root / "usr/local/share/ca-certificates" / certificate.name)
    if added:
        runner.run(["chroot", root, "update-ca-certificates"], timeout=SECONDS)
