"""env.yml as what outlives the machine: paper that was read back, a disc to boot with, an encrypted archive."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.runner import Runner
from ecs_appliance.env.check import check
from ecs_appliance.env.document import read
from ecs_appliance.env.problem import report
from ecs_appliance.paper import split
from ecs_appliance.paper.codes import Kind, Label, pack, parts
from ecs_appliance.paper.disc import make_disc
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.sheets import Sheets, make_pdf
from ecs_appliance.paper.split import Scheme, make_shares
from ecs_appliance.paper.verification import verify
from ecs_appliance.safekeeping import keyfile
from ecs_appliance.safekeeping.keyfile import Recipient
from ecs_appliance.safekeeping.sealed import archive, file_name, seal

DISC = "env-cidata.iso"
USER_DATA, META_DATA = "user-data", "meta-data"
CUSTOM_META_DATA = "meta-data.custom"
NO_DOMAIN = "unknown"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Package:
    """What was written beside env.yml: `papers` (one, or one for each share), `disc`, and `sealed` for `recipients`.

    `codes` is the number of QR codes of the file. `stale` are papers of an earlier package that are of no use any more.
    """

    domain: str
    modified: datetime
    papers: tuple[Path, ...]
    codes: int
    disc: Path
    sealed: Path | None
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
    """Write paper, disc and, where gpgkeys.txt lies beside `file`, the encrypted archive; all of them 0600.

    The paper is read back before anything is written. Nothing but what is asked for ever is on disk. `unchecked` takes
    a file that is no usable environment, too. Raises InvalidEnvError, RefusedError, UnprovenError, ApplianceError.
    """
    data = read(file)
    domain = _domain(data, file, unchecked=unchecked)
    label = Label(domain, datetime.fromtimestamp(int(file.stat().st_mtime), UTC))
    progress("drawing the codes")
    papers = make_papers(data, label, file.name, scheme)
    progress("reading the paper back")
    codes = verify([Document(name, pdf) for name, pdf in papers.items()], data)
    disc_files = {USER_DATA: data, META_DATA: _meta_data(file, domain)}
    disc = make_disc(disc_files if scheme else disc_files | papers, dated=label.modified)
    products = {**papers, DISC: disc}
    keys = _read_beside(file, keyfile.FILE_NAME)
    sealed_name = ""
    recipients: tuple[Recipient, ...] = ()
    if keys is not None:
        progress(f"encrypting for the keys of {keyfile.FILE_NAME}")
        sealed = seal(archive({file.name: data, **products}, label.modified), keys, runner)
        sealed_name, recipients = file_name(domain, datetime.now()), sealed.recipients
        products[sealed_name] = sealed.data
    _write(file.parent, products)
    return Package(
        domain,
        label.modified,
        tuple(file.parent / name for name in papers),
        codes,
        file.parent / DISC,
        file.parent / sealed_name if sealed_name else None,
        recipients,
        tuple(sorted(paper for paper in _printed(file) if paper.name not in papers)),
    )


def make_papers(data: bytes, label: Label, name: str, scheme: Scheme | None = None) -> dict[str, bytes]:
    """PDFs by file name: of the whole of `data`, or one for each share. Raises RefusedError where it is too much."""
    packed = pack(data, label)
    if scheme is None:
        digest = hashlib.sha256(data).digest()
        text = data.decode(errors="backslashreplace")
        return {f"{name}.pdf": make_pdf(Sheets(label, digest, parts(packed, digest, Kind.PLAIN), text))}
    encrypted, key = split.encrypt(packed)
    digest = hashlib.sha256(encrypted).digest()
    codes = parts(encrypted, digest, Kind.SPLIT)
    return {
        f"{name}.share-{share.number}of{scheme.total}.pdf": make_pdf(Sheets(label, digest, codes, share=share))
        for share in make_shares(key, scheme, digest)
    }


def meta_data(domain: str) -> bytes:
    """What cloud-init wants to know besides, where no meta-data.custom says it."""
    return f"instance-id: iid-cloud-default\nlocal-hostname: {domain}\n".encode()


def _domain(data: bytes, file: Path, *, unchecked: bool) -> str:
    checked = check(data)
    if checked.env is not None:
        return checked.env.appliance.domain
    if unchecked:
        return NO_DOMAIN
    raise InvalidEnvError(report(checked.problems, str(file)), "correct it, or package it as it is with --unchecked")


def _meta_data(file: Path, domain: str) -> bytes:
    custom = _read_beside(file, CUSTOM_META_DATA)
    return meta_data(domain) if custom is None else custom


def _read_beside(file: Path, name: str) -> bytes | None:
    path = file.with_name(name)
    return read(path) if path.exists() or path.is_symlink() else None


def _printed(file: Path) -> list[Path]:
    return [file.with_name(f"{file.name}.pdf")] * file.with_name(f"{file.name}.pdf").exists() + list(
        file.parent.glob(f"{file.name}.share-*of*.pdf")
    )


def _write(folder: Path, products: Mapping[str, bytes]) -> None:
    for name, content in products.items():
        try:
            write_atomic(folder / name, content, mode=0o600)
        except OSError as error:
            raise ApplianceError(
                f"cannot write {folder / name}: {error.strerror}", "make room and run it again"
            ) from None
