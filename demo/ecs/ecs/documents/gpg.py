"""Encryption with the keyring in the vault's gpghome, by gpg 1.4, which matches the format of the keyrings."""
import subprocess
from pathlib import Path

from django.conf import settings

DEFAULT_KEYS = Path(__file__).parent / "default-keys"


class GpgError(Exception):
    """gpg failed; the message is the last line of its output."""


def command(*arguments: str) -> list[str]:
    return ["gpg1", "--homedir", settings.STORAGE_VAULT["gpghome"], "--batch", "--no-tty", "--quiet", "--no-greeting",
            "--trust-model", "always", *arguments]


def has_secret_key(uid: str) -> bool:
    return subprocess.run(command("--list-secret-keys", uid), capture_output=True, timeout=60).returncode == 0


def import_default_keys() -> None:
    """Import the publicly known keys in this repository if the keyring has none; only for trials."""
    for setting in ("encryption_uid", "signature_uid"):
        uid = settings.STORAGE_VAULT[setting]
        if not has_secret_key(uid):
            key = DEFAULT_KEYS / f"{uid}.asc"
            subprocess.run(command("--import", str(key)), check=True, capture_output=True, timeout=60)


def encrypt(chunks, target: int) -> None:
    """Sign and encrypt the chunks to the open file `target`."""
    vault = settings.STORAGE_VAULT
    people = ("--local-user", vault["signature_uid"], "--recipient", vault["encryption_uid"])
    algorithms = ("--digest-algo", "SHA256", "--cipher-algo", "AES256", "--compress-algo", "none")
    run(command(*people, *algorithms, "--sign", "--encrypt"), chunks, target)


def decrypt(source: Path, target: int) -> None:
    """Decrypt to the open file `target`; raise GpgError if there is no signature by a key in the keyring."""
    status = run(command("--status-fd", "2", "--decrypt", str(source)), (), target)
    if b"[GNUPG:] VALIDSIG " not in status:
        raise GpgError(f"{source.name}: no valid signature")


def run(argv: list[str], chunks, target: int) -> bytes:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=target, stderr=subprocess.PIPE) as process:
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:
            pass  # gpg exited early; its exit code and message say why
        status = process.stderr.read()
    if process.returncode:
        lines = status.decode(errors="replace").strip().splitlines() or ["no message"]
        raise GpgError(lines[-1])
    return status
