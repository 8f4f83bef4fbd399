"""Package env.yml as paper, verified by reading it back, as a disc for booting, and as an encrypted archive."""

import errno
import glob
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError, RefusedError
from ecs_appliance.core.files import write_together
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.check import check
from ecs_appliance.env.decoding import read
from ecs_appliance.env.diagnostics import report
from ecs_appliance.offline_copy import mail, recipient_keys
from ecs_appliance.offline_copy.companion_files import read_companion
from ecs_appliance.offline_copy.encrypted_archive import archive, encrypt, file_name
from ecs_appliance.offline_copy.recipient_keys import Recipient
from ecs_appliance.paper import split
from ecs_appliance.paper.codes import CodeKind, Label, pack, parts
from ecs_appliance.paper.disc import make_disc
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.scan import Progress
from ecs_appliance.paper.sheet_layout import Sheets, make_pdf
from ecs_appliance.paper.split import Scheme, make_shares
from ecs_appliance.paper.verification import verify_each

DISC = "env-cidata.iso"
# Fixed names on the disc, since the name of the file may be too long for one.
USER_DATA, META_DATA, PAPER = "user-data", "meta-data", "env.yml.pdf"
CUSTOM_META_DATA = "meta-data.custom"
NO_DOMAIN = "unknown"
# Unix times that gzip can store.
DATES = range(2**32)
HINTS = {
    errno.ENOSPC: "free up space",
    errno.EDQUOT: "free up space",
    errno.EISDIR: "move that folder away",
    errno.ENAMETOOLONG: "give the file a shorter name",
}


@dataclass(frozen=True)
class Package:
    """The files written next to env.yml: `papers` (one, or one per share), `disc`, and `encrypted` for `recipients`.

    `codes` is the number of QR codes of the file. `stale` are papers of an earlier package, which are outdated now.
    """

    domain: str
    modified: datetime
    papers: tuple[Path, ...]
    codes: int
    disc: Path
    encrypted: Path | None
    recipients: tuple[Recipient, ...]
    stale: tuple[Path, ...]


def package(
    file: Path,
    runner: Runner,
    *,
    scheme: Scheme | None = None,
    unchecked: bool = False,
    progress: Progress = lambda _: None,
) -> Package:
    """Write paper, disc and, if gpgkeys.txt is next to `file`, the encrypted archive, with mode 0600.

    The paper is verified by reading it back before anything is written; if there is not enough space, nothing is
    written. No other file ever contains the data. `unchecked` accepts an invalid environment. Raise InvalidEnvError,
    RefusedError, UnprovenError or ApplianceError.
    """
    data = read(file)
    label = Label(_domain(data, file, unchecked=unchecked), _modified(file))
    archive_name = file_name(label.name, datetime.now())
    _refuse_overwrite(file, archive_name)
    keys, custom = read_companion(file, recipient_keys.FILE_NAME), read_companion(file, CUSTOM_META_DATA)
    progress("creating the codes")
    papers = make_papers(data, label, file.name, scheme)
    progress("reading the paper back")
    codes = verify_each([Document(name, pdf) for name, pdf in papers.items()], data).codes
    disc_files = {USER_DATA: data, META_DATA: meta_data(label.name) if custom is None else custom}
    if scheme is None:
        (disc_files[PAPER],) = papers.values()
    products = {**papers, DISC: make_disc(disc_files, dated=label.modified)}
    recipients: tuple[Recipient, ...] = ()
    if keys is not None:
        progress(f"encrypting for the keys of {recipient_keys.FILE_NAME}")
        encrypted = encrypt(archive({file.name: data, **products}, label.modified), keys, runner)
        recipients = encrypted.recipients
        products[archive_name] = encrypted.data
    _write(file.parent, products)
    return Package(
        label.name,
        label.modified,
        tuple(file.parent / name for name in papers),
        codes,
        file.parent / DISC,
        file.parent / archive_name if keys is not None else None,
        recipients,
        tuple(paper for paper in _printed(file) if paper.name not in papers),
    )


def make_papers(data: bytes, label: Label, name: str, scheme: Scheme | None = None) -> dict[str, bytes]:
    """Return PDFs by file name: one of `data`, or one per share; the names of shares of the same set end alike.

    Raise RefusedError if `data` is too large.
    """
    packed = pack(data, label)
    if scheme is None:
        digest = hashlib.sha256(data).digest()
        text = data.decode(errors="backslashreplace")
        return {f"{name}.pdf": make_pdf(Sheets(label, digest, parts(packed, digest, CodeKind.PLAIN), text))}
    encrypted, key = split.encrypt(packed)
    digest = hashlib.sha256(encrypted).digest()
    codes = parts(encrypted, digest, CodeKind.SPLIT)
    return {
        f"{name}.share-{share.number}of{scheme.total}-{share.digest}.pdf": make_pdf(
            Sheets(label, digest, codes, share=share)
        )
        for share in make_shares(key, scheme, digest)
    }


def meta_data(domain: str) -> bytes:
    """Return cloud-init's meta-data, for packages without a meta-data.custom."""
    return f"instance-id: iid-cloud-default\nlocal-hostname: {domain}\n".encode()


def _domain(data: bytes, file: Path, *, unchecked: bool) -> str:
    checked = check(data)
    if checked.env is not None:
        return checked.env.appliance.domain
    if unchecked:
        return NO_DOMAIN
    raise InvalidEnvError(report(checked.problems, str(file)), "correct it, or use --unchecked to package it anyway")


def _modified(file: Path) -> datetime:
    try:
        seconds = int(file.stat().st_mtime)
    except OSError as error:
        raise ApplianceError(f"cannot read {file}: {error.strerror}") from None
    if seconds not in DATES:
        raise RefusedError(f"the date of {file} is not between 1970 and 2106, so it cannot be printed", "touch it")
    return datetime.fromtimestamp(seconds, UTC)


def _refuse_overwrite(file: Path, archive_name: str) -> None:
    """Raise RefusedError if `file` is one of the files to write, or one of the optional files next to it."""
    names = (f"{file.name}.pdf", DISC, archive_name, recipient_keys.FILE_NAME, mail.FILE_NAME, CUSTOM_META_DATA)
    for path in (file.parent / name for name in names):
        try:
            same = path.samefile(file)
        except OSError:
            continue
        if same:
            raise RefusedError(f"{file} cannot be packaged under the name {path.name}, which is reserved", "rename it")


def _printed(file: Path) -> list[Path]:
    """Return the papers of `file` that exist next to it."""
    whole = file.with_name(f"{file.name}.pdf")
    shares = sorted(file.parent.glob(f"{glob.escape(file.name)}.share-*of*.pdf"))
    return [whole, *shares] if whole.exists() else shares


def _write(folder: Path, products: Mapping[str, bytes]) -> None:
    try:
        write_together({folder / name: content for name, content in products.items()})
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "check that you may write there")
        raise ApplianceError(f"cannot write {error.filename}: {error.strerror}", f"{hint}, then run it again") from None
