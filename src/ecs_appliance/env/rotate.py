"""Replaces one secret in an env.yml with a new one; the rest of the file is unchanged."""

import difflib
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, BusyError, InvalidEnvError, RefusedError
from ecs_appliance.core.files import sync_folder, write_atomic
from ecs_appliance.core.runner import Runner
from ecs_appliance.env import dkim, pgp_generate
from ecs_appliance.env.backup_password import derived_password
from ecs_appliance.env.check import check
from ecs_appliance.env.create import make_random
from ecs_appliance.env.decoding import decode, read
from ecs_appliance.env.diagnostics import quoted, report
from ecs_appliance.env.edit import replace_within, scalar_at, set_values
from ecs_appliance.env.pgp_keys import USERS
from ecs_appliance.env.pysettings import NEEDED, SettingsError, string_place
from ecs_appliance.env.schema_walk import keys
from ecs_appliance.env.tree import parse

DKIM = "appliance.dkim.key"
SETTINGS = "ecs.settings"
BACKUP_KEY, BACKUP_PASSWORD = "appliance.backup.encrypt", "appliance.backup.password"
ROTATABLE = (DKIM, *USERS, *(f"{SETTINGS}.{name}" for name in NEEDED))
# What is impossible without the old key.
LOST = {
    BACKUP_KEY: "restore the backups made by the predecessor",
    "ecs.vault_encrypt": "open the documents stored so far",
    "ecs.vault_sign": "open the documents stored so far, because their signatures are verified",
}
CONSEQUENCES = {
    "SECRET_KEY": "all users are logged out",
    "REGISTRATION_SECRET": "registration links sent in the last 24 hours stop working",
    "PASSWORD_RESET_SECRET": "password reset links sent in the last hour stop working",
}
HEAD = re.compile(r"\A(?:[ \t]*(?:#.*)?\n)*")


@dataclass(frozen=True)
class Rotated:
    """`file` is the file written, with symlinks resolved; `notices` are lines for the operator."""

    file: Path
    notices: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class _Edited:
    text: str
    notices: tuple[str, ...] = ()


def rotate(file: Path, key: str, runner: Runner, *, keep_old: Path | None = None) -> Rotated:
    """Replace the secret `key`, one of ROTATABLE, in the env.yml `file` with a new one; mode 0600, same owner.

    The old value of a key that data depends on is first written to the new file `keep_old`, which is required for such
    keys. Raise RefusedError if it is not given, if `key` cannot be rotated or is not in the file, or if `file` was
    changed meanwhile; InvalidEnvError with the report if `file` is invalid; BusyError if another rotation of it runs.
    `file` is unchanged then.
    """
    _check_key(key)
    path = Path(os.path.realpath(file))
    with _locked(path) as data:
        _check(data, path, tolerated=key)
        text = decode(data)
        old = _old_value(text, key)
        _refuse_loss(path, key, old, keep_old)
        edited = _edit(text, key, old, runner)
        _check(edited.text.encode(), path)
        kept = _keep(key, old, keep_old) if keep_old and old else ()
        _replace(path, data, edited.text)
    return Rotated(path, (*kept, *edited.notices))


def _check_key(key: str) -> None:
    if key in ROTATABLE:
        return
    inside = [known for known in ROTATABLE if key.lower() in known.lower()]
    # An existing key of env.yml is not a typo; a suggestion could get the wrong secret rotated.
    known = any(key == one.path for one in keys())
    close = () if known else (*inside, *difflib.get_close_matches(key, ROTATABLE, n=1))
    meant = f", did you mean {close[0]}?" if close else ""
    raise RefusedError(f"{quoted(key)} cannot be rotated{meant}", f"these can be rotated: {', '.join(ROTATABLE)}")


@contextmanager
def _locked(path: Path) -> Iterator[bytes]:
    """Yield the content of `path` while holding a lock against other rotations of it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise ApplianceError(f"cannot read {path}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"another rotation of {path} is running", "wait until it has finished, then try again"
            ) from None
        yield read(path)
    finally:
        os.close(descriptor)


def _check(data: bytes, path: Path, *, tolerated: str = "") -> None:
    """Raise InvalidEnvError if `data` is invalid; ignore errors of the key `tolerated`."""
    checked = check(data)
    if not checked.ok and any(found.severity == "error" and found.path != tolerated for found in checked.problems):
        raise InvalidEnvError(report(checked.problems, str(path)), "fix it, then rotate again; nothing was changed")


def _old_value(text: str, key: str) -> str:
    """Return the value to be replaced; for a key within ecs.settings, all of ecs.settings."""
    path = SETTINGS if key.startswith(f"{SETTINGS}.") else key
    node = scalar_at(parse(text), path)
    if node is None:
        hint = f'to generate one, add the key with an empty value: {key.rpartition(".")[2]}: ""'
        raise RefusedError(f"{path} is not in this file: there is nothing to rotate", hint)
    return node.text


def _refuse_loss(path: Path, key: str, old: str, keep_old: Path | None) -> None:
    if keep_old and key not in LOST:
        raise RefusedError(f"the old {key} is not needed for anything", "omit --keep-old")
    if key in LOST and old.strip() and not keep_old:
        raise RefusedError(
            f"without the old {key}, nobody can {LOST[key]}",
            f"save it to a new file: appliance env rotate {path} {key} --keep-old FILE",
        )


def _edit(text: str, key: str, old: str, runner: Runner) -> _Edited:
    if key == BACKUP_KEY:
        return _edit_backup(text, old, runner)
    if key in USERS:
        return _Edited(set_values(text, {key: pgp_generate.make_key(USERS[key], runner)}))
    if key == DKIM:
        return _edit_dkim(text, old)
    return _edit_setting(text, key.rpartition(".")[2], old)


def _edit_setting(text: str, name: str, settings: str) -> _Edited:
    try:
        place = string_place(settings, name)
    except SettingsError as error:
        hint = f"set it once, as {name} = '…' on a line of its own, then rotate again"
        raise RefusedError(f"{SETTINGS} {error}", hint) from None
    quote = settings[place.stop - 1]
    edited = replace_within(text, SETTINGS, place, f"{quote}{make_random()}{quote}")
    return _Edited(edited, (f"once the file is active, {CONSEQUENCES[name]}",))


def _edit_backup(text: str, old: str, runner: Runner) -> _Edited:
    """Replace the backup key; if the backup password was derived from the old one, write that password to the file."""
    fresh = {BACKUP_KEY: pgp_generate.make_key(USERS[BACKUP_KEY], runner)}
    password = scalar_at(parse(text), BACKUP_PASSWORD)
    derived = "" if password and password.text.strip() else derived_password(old)
    if not derived:
        return _Edited(set_values(text, fresh))
    notices = f"{BACKUP_PASSWORD} was added: it decrypts the existing backups and is used for new ones"
    return _Edited(set_values(text, {BACKUP_PASSWORD: derived, **fresh}), (notices,))


def _edit_dkim(text: str, old: str) -> _Edited:
    new = dkim.make_key()
    head = HEAD.match(text)
    comments = head[0] if head else ""
    known = _record(old)
    there = bool(known) and known in comments
    edited = (comments.replace(known, dkim.record(new)) if there else comments) + text[len(comments) :]
    domain = scalar_at(parse(text), "appliance.domain")
    name = dkim.name((domain.text.strip() if domain else "") or "localhost")
    return _Edited(
        set_values(edited, {DKIM: new}),
        (
            "the DNS record in the comments at its top was updated"
            if there
            else "the comments at its top have no such DNS record to update",
            "before you activate the file, replace the old DNS record with this one:",
            f"  {name}. IN TXT ( {dkim.record(new)} )",
            f"activate the file as soon as the new record is visible (dig +short TXT {name}): "
            "mail sent in between fails DKIM",
        ),
    )


def _record(key: str) -> str:
    try:
        return dkim.record(key)
    except ValueError:
        return ""


def _keep(key: str, old: str, file: Path) -> tuple[str, ...]:
    """Write the key block `old` to the new `file`, unless an interrupted run already did; return lines to report."""
    block = f"{old.strip()}\n".encode()
    try:
        if not _create(file, block) and file.read_bytes() != block:
            raise RefusedError(f"{file} already exists: it is not overwritten", "choose a new file")
    except OSError as error:
        raise ApplianceError(f"cannot write {file}: {error.strerror}", "nothing was changed") from None
    notices = (
        f"the old key was saved to {file}: without it, nobody can {LOST[key]}",
        "keep it as safe as env.yml, also outside this machine, for as long as any of them exist",
    )
    if key == BACKUP_KEY:
        return (*notices, f"to restore one of them, use it as {key} in a copy of env.yml")
    return (
        *notices,
        "an existing machine has the old key in its keyring, one rebuilt from env.yml does not; run there, as root,",
        f"  gpg1 --batch --homedir /data/ecs-gpg --import <{file.name}",
        "then: systemctl restart appliance; the application uses the key from then on",
    )


def _create(file: Path, data: bytes) -> bool:
    """Create `file` durably with mode 0600; return False if it already exists."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(descriptor)
    except OSError:
        file.unlink()
        raise
    sync_folder(file.parent)
    return True


def _replace(path: Path, before: bytes, text: str) -> None:
    try:
        if path.read_bytes() != before:
            raise RefusedError(f"{path} was changed in the meantime: nothing was written to it", "rotate again")
        state = path.stat()
        write_atomic(path, text, mode=0o600, owner=(state.st_uid, state.st_gid))
    except OSError as error:
        raise ApplianceError(f"cannot write {path}: {error.strerror}") from None
