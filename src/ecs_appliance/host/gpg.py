"""GnuPG 1.4, the only version whose keyrings the application reads. Key material is passed through stdin.

Untrusted data is parsed only in the sandbox and with an explicit command: without one, gpg guesses from the input what
to do and prints the contents of packets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Runner
from ecs_appliance.host import sandbox

PROGRAM = "gpg1"
SECONDS = 60
OPTIONS = ("--batch", "--no-tty", "--no-options", "--no-permission-warning", "--trust-model=always")
LISTING = "--with-colons --fixed-list-mode --with-fingerprint"
# In hexadecimal digits. Fingerprints of version 3 keys are shorter and easy to forge.
FINGERPRINT_DIGITS = 40
# Validity letters of keys that gpg does not use: disabled, expired, invalid, revoked.
UNUSABLE = "deir"
PROBE = b"round trip"

GPG = f'gpg() {{ {PROGRAM} {" ".join(OPTIONS)} --homedir "$@"; }}'
LIST = f"""
list() {{
    gpg "$1" {LISTING} --list-keys || :
    gpg "$1" {LISTING} --list-secret-keys || :
}}"""
# List the keys of each block separately, those that gpg finds in the rings, and those of them that can be imported.
LOOK = f"""
{GPG}{LIST}
for block in block.*; do
    if test -e "$block"; then
        mkdir "home.$block"
        gpg "home.$block" --import <"$block" || :
        list "home.$block" >"keys.$block"
    fi
done
mkdir seen kept
for ring in pubring.gpg secring.gpg; do cp "$ring" seen/; gpg kept --import "$ring" || :; done
list seen >keys.seen
list kept >keys.kept
"""
# The keys of the blocks come only from there: anyone with the secret may have revoked their copies in the old ring.
BUILD = f"""
{GPG}{LIST}
mkdir new kept
for block in block.*; do gpg new --import "$block"; done
for ring in secring.gpg pubring.gpg; do gpg kept --import "$ring" || :; done
while read -r fingerprint; do
    gpg kept --export-secret-keys "$fingerprint" >one || :
    if test -s one; then gpg new --import one || :; fi
    gpg kept --export "$fingerprint" >one || :
    if test -s one; then gpg new --import one || :; fi
done <behind
cp new/pubring.gpg new/secring.gpg .
list new >keys.new
touch opened status
if gpg new --recipient="$(cat recipient)" --local-user="$(cat signer)" --output=encrypted --sign --encrypt <probe 2>said
then gpg new --status-fd=3 --decrypt encrypted 3>status >opened 2>>said || :; fi
"""


@dataclass(frozen=True)
class ListedKey:
    """A primary key, `secret` or public; `ids` are those of it and its subkeys, `usable` is False if gpg ignores it."""

    fingerprint: str
    secret: bool
    uids: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    usable: bool = True


@dataclass(frozen=True)
class Ring:
    """The content of pubring.gpg and secring.gpg."""

    public: bytes = b""
    secret: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Sight:
    """The keys that gpg finds in key `blocks` and in a ring (`seen`), and those of the ring it can import (`kept`)."""

    blocks: tuple[tuple[ListedKey, ...], ...]
    seen: tuple[ListedKey, ...]
    kept: tuple[ListedKey, ...]


def inspect(runner: Runner, blocks: Sequence[bytes], ring: Ring) -> Sight:
    """List the keys of armored `blocks` and of `ring`, in the sandbox; empty for data without keys."""
    names = [f"block.{number}" for number in range(len(blocks))]
    results = [*(f"keys.{name}" for name in names), "keys.seen", "keys.kept"]
    files = {**dict(zip(names, blocks, strict=True)), **_files(ring)}
    files_out = sandbox.run(runner, LOOK, files, results=results, timeout=SECONDS)
    lists = [tuple(parse(files_out[name].decode(errors="replace"))) for name in results]
    return Sight(tuple(lists[:-2]), lists[-2], lists[-1])


def list_keys(runner: Runner, data: bytes) -> list[ListedKey]:
    """Return the primary keys in `data`, an armored block or a keyring: first the public, then the secret ones."""
    return list(inspect(runner, [data], Ring()).blocks[0])


def build_ring(
    runner: Runner, blocks: Sequence[bytes], ring: Ring, behind: Sequence[str], *, recipient: str, signer: str
) -> tuple[Ring, tuple[ListedKey, ...]]:
    """Build a ring from `blocks`, one secret key each, followed by the keys of `ring` with the fingerprints `behind`.

    Return it with its listing. Raise ApplianceError if a message signed by `signer` and encrypted to `recipient` (the
    user ids of the second and first key) cannot be written and read.
    """
    names = {f"block.{number}": block for number, block in enumerate(blocks)}
    asked = {"behind": "".join(f"{each}\n" for each in behind).encode(), "probe": PROBE}
    files = {**names, **_files(ring), **asked, "recipient": recipient.encode(), "signer": signer.encode()}
    results = ("pubring.gpg", "secring.gpg", "keys.new", "opened", "status", "said")
    files_out = sandbox.run(runner, BUILD, files, results=results, timeout=SECONDS)
    keys = tuple(parse(files_out["keys.new"].decode(errors="replace")))
    _check_round_trip(files_out, keys, signer, recipient)
    return Ring(files_out["pubring.gpg"], files_out["secring.gpg"]), keys


def _files(ring: Ring) -> dict[str, bytes]:
    return {"pubring.gpg": ring.public, "secring.gpg": ring.secret}


def _check_round_trip(files_out: dict[str, bytes], keys: Sequence[ListedKey], signer: str, recipient: str) -> None:
    """Raise ApplianceError unless the probe was encrypted to the first key, signed by the second, and decrypted."""
    said = files_out["said"].decode(errors="replace").strip()
    words = [line.split(" ") for line in files_out["status"].decode(errors="replace").split("\n")]
    sealed_to = [line[2] for line in words if line[1:2] == ["ENC_TO"]]
    signed_by = [line[-1] for line in words if line[1:2] == ["VALIDSIG"]]
    public = [key for key in keys if not key.secret]
    fits = bool(public[1:]) and sealed_to[:1] and sealed_to[0] in public[0].ids
    if files_out["opened"] != PROBE or not fits or signed_by != [public[1].fingerprint]:
        raise ApplianceError(
            f"a test document signed by {signer} and encrypted for {recipient} cannot be created and read: {said}",
            "both keys must have no passphrase, and be usable for signing and encryption",
        )


def import_keys(runner: Runner, home: Path, data: bytes) -> None:
    """Import `data`, from this machine's own env.yml, into the keyring in `home`. Raise CommandError."""
    # 2: some of the keys existed already.
    runner.run([PROGRAM, *OPTIONS, f"--homedir={home}", "--import"], timeout=SECONDS, input=data, ok=(0, 2))


def parse(listing: str) -> list[ListedKey]:
    """Return the keys of a listing made with --with-colons.

    A fingerprint directly follows its key; lines end at newlines only, since a name may contain any other character.
    """
    keys: list[ListedKey] = []
    follows = False
    for line in listing.split("\n"):
        words = line.split(":")
        kind, filled = words[0], len(words) > 9  # noqa: PLR2004 # the tenth field contains user ids and fingerprints
        if kind in ("pub", "sec") and filled:
            keys.append(ListedKey("", kind == "sec", (), (words[4],), not set(words[1]) & set(UNUSABLE)))
        elif keys and filled:
            keys[-1] = _with_record(keys[-1], kind, words, follows=follows)
        follows = kind in ("pub", "sec")
    return [key for key in keys if len(key.fingerprint) == FINGERPRINT_DIGITS and key.fingerprint.strip("0")]


def _with_record(key: ListedKey, kind: str, words: Sequence[str], *, follows: bool) -> ListedKey:
    fingerprint, uids, ids = key.fingerprint, key.uids, key.ids
    if kind == "fpr" and follows:
        fingerprint = words[9]
    elif kind == "uid":
        uids = (*uids, words[9])
    elif kind in ("sub", "ssb"):
        ids = (*ids, words[4])
    return ListedKey(fingerprint, key.secret, uids, ids, key.usable)
