"""The vault: encrypted files named by UUID, each written once and never changed."""
import hashlib
import os
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings

from ecs.documents import gpg
from ecs.documents.models import Document


class Altered(Exception):
    """The content of a file in the vault has changed since it was stored."""


def path_of(identifier: UUID) -> Path:
    name = identifier.hex
    return Path(settings.STORAGE_VAULT["dir"], *name[:4], name)


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def write_once(path: Path, write) -> None:
    """Create the file with `write(fd)`; it appears complete, durable and read-only, or not at all."""
    top = Path(settings.STORAGE_VAULT["dir"])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        write(fd)
        os.fsync(fd)
        os.link(part, path)  # unlike a rename, it never replaces a file
    finally:
        os.close(fd)
        part.unlink()
    for folder in path.parents:
        sync_folder(folder)
        if folder == top:
            break


def store(name: str, chunks, user) -> Document:
    """Encrypt the chunks into the vault, then record them."""
    plain, size = hashlib.sha256(), 0

    def counted():
        nonlocal size
        for chunk in chunks:
            plain.update(chunk)
            size += len(chunk)
            yield chunk

    identifier = uuid4()
    path = path_of(identifier)
    write_once(path, lambda fd: gpg.encrypt(counted(), fd))
    return Document.objects.create(
        uuid=identifier, name=name, size=size, sha256=plain.hexdigest(), vault_sha256=hash_file(path), uploaded_by=user
    )


def open_document(document: Document):
    """Return the decrypted document, compared with its record, as an open file. Raise Altered, GpgError, OSError."""
    file = tempfile.TemporaryFile(dir=settings.CACHE_DIR)
    try:
        gpg.decrypt(path_of(document.uuid), file.fileno())
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != document.sha256:
            raise Altered(document.uuid.hex)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file
