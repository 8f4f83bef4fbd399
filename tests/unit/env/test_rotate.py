"""One secret is replaced and nothing else, or nothing at all; tests/integration/env creates real PGP keys."""

import fcntl
import json
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_appliance.core.errors import ApplianceError, BusyError, InvalidEnvError, RefusedError
from ecs_appliance.env import dkim
from ecs_appliance.env.backup_password import backup_password
from ecs_appliance.env.check import load
from ecs_appliance.env.create import TEMPLATE, Secrets, fill
from ecs_appliance.env.diff import diff
from ecs_appliance.env.edit import scalar_at
from ecs_appliance.env.pysettings import NEEDED
from ecs_appliance.env.rotate import LOST, ROTATABLE, rotate
from ecs_appliance.env.schema_walk import secrets
from ecs_appliance.env.tree import parse
from tests.fakes import AnsweringRunner

ACCEPTED = Path(__file__).parents[2] / "fixtures/env/accepted"
SMALLEST = (ACCEPTED / "smallest.yml").read_text()
DKIM = "appliance.dkim.key"
SECRET = "ecs.settings.SECRET_KEY"
SETTINGS = "".join(f"{name} = 'an-example-that-protects-nothing'\n" for name in NEEDED)
NOBODY = AnsweringRunner(lambda argv: (1, "", f"{argv} was not expected"))


def text_at(path: str, text: str = SMALLEST) -> str:
    node = scalar_at(parse(text), path)
    assert node is not None
    return node.text


def gpg(meanwhile: Callable[[], object] = lambda: None) -> AnsweringRunner:
    """Return a gpg that always creates the same key, and calls `meanwhile` while it does."""

    def answer(argv: list[str]) -> tuple[int, str, str]:
        if "--export-secret-keys" not in argv:
            return 0, "", ""
        meanwhile()
        return 0, text_at("ecs.vault_sign"), ""

    return AnsweringRunner(answer)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file as `env create` writes it."""
    keys = [text_at(path) for path in (DKIM, "appliance.backup.encrypt", "ecs.vault_encrypt", "ecs.vault_sign")]
    fresh = Secrets(keys[0], keys[1], "a password", keys[2], keys[3], "one", "two", "three")
    path = tmp_path / "env.yml"
    path.write_text(fill(TEMPLATE.read_text(), "ecs.example.org", fresh))
    path.chmod(0o600)
    return path


def rewritten(folder: Path, *changes: tuple[str, str]) -> Path:
    """Return the smallest file with some of its text replaced."""
    text = SMALLEST
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "env.yml"
    path.write_text(text)
    return path


def changed_lines(before: str, after: str) -> list[str]:
    assert len(before.splitlines()) == len(after.splitlines())
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [line for old, line in pairs if old != line]


@pytest.mark.parametrize("name", NEEDED)
def test_a_password_of_the_application_changes_alone(file: Path, name: str) -> None:
    before = file.read_text()
    notices = rotate(file, f"ecs.settings.{name}", NOBODY).notices
    (line,) = changed_lines(before, file.read_text())
    assert re.fullmatch(rf"    {name} = '[A-Za-z0-9+/]{{52}}'", line)
    assert len(notices) == 1
    assert notices[0].startswith("once the file is active, ")


@pytest.mark.parametrize("fixture", ["predecessor.yml", "everything.yml", "own-certificate.yml"])
def test_files_of_any_make_keep_the_way_they_are_written(fixture: str, tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_bytes((ACCEPTED / fixture).read_bytes())
    before = path.read_text()
    rotate(path, SECRET, NOBODY)
    (line,) = changed_lines(before, path.read_text())
    assert line.strip().startswith("SECRET_KEY = '")


@pytest.mark.parametrize(
    "settings",
    [
        f"settings: {json.dumps(SETTINGS)}",
        "settings: >\n" + "".join(f"    {line}\n\n" for line in SETTINGS.splitlines()),
    ],
)
def test_settings_in_quotes_or_folded_are_written_anew(settings: str, tmp_path: Path) -> None:
    block = SMALLEST[SMALLEST.index("settings: |") : SMALLEST.index("  vault_encrypt:")]
    path = rewritten(tmp_path, (block, f"{settings.rstrip()}\n"))
    before = text_at("ecs.settings", path.read_text()).splitlines()
    rotate(path, SECRET, NOBODY)
    after = text_at("ecs.settings", path.read_text()).splitlines()
    assert [line.partition(" =")[0] for old, line in zip(before, after, strict=True) if old != line] == ["SECRET_KEY"]


def test_flow_style_stays(tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    key = text_at(DKIM).replace("\n", "\\n")
    path.write_text(f'#cloud-config\n{{"appliance": {{standby: yes, # why\n dkim: {{key: "{key}"}}, extra: {{}}}}}}\n')
    rotate(path, DKIM, NOBODY)
    assert re.fullmatch(
        r'#cloud-config\n{"appliance": {standby: yes, # why\n dkim: {key: "-----BEGIN [^\n]*"}, extra: {}}}\n',
        path.read_text(),
    )


@pytest.mark.parametrize("wrong", ["SECRET_KEY = 'a' + 'b'", "SECRET_KEY = 'a'\n    SECRET_KEY = 'b'"])
def test_a_password_that_is_no_plain_text_is_left_alone(wrong: str, tmp_path: Path) -> None:
    path = rewritten(tmp_path, ("SECRET_KEY = 'an-example-that-protects-nothing'", wrong))
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"ecs.settings (does not set|sets) SECRET_KEY"):
        rotate(path, SECRET, NOBODY)
    assert path.read_bytes() == before


def test_a_password_that_is_not_there_is_what_the_check_finds(tmp_path: Path) -> None:
    path = rewritten(tmp_path, ("SECRET_KEY = 'an-example-that-protects-nothing'", "pass"))
    with pytest.raises(InvalidEnvError, match="does not set SECRET_KEY"):
        rotate(path, SECRET, NOBODY)


def without(text: str, record: str) -> str:
    """Return `text` without its DKIM key and that key's `record`."""
    return text.replace(record, "").replace(textwrap.indent(text_at(DKIM, text), "      "), "")


def test_a_dkim_key_changes_together_with_its_record(file: Path) -> None:
    before, old = file.read_text(), dkim.record(text_at(DKIM))
    notices = rotate(file, DKIM, NOBODY).notices
    after = file.read_text()
    new = dkim.record(text_at(DKIM, after))
    assert new != old
    assert old not in after
    assert without(after, new) == without(before, old)
    assert after.count(new) == 1
    assert notices[0] == "the DNS record in the comments at its top was updated"
    assert f"  default._domainkey.ecs.example.org. IN TXT ( {new} )" in notices
    assert [difference.path for difference in diff(before.encode(), after.encode())] == [DKIM]


def test_a_record_that_is_elsewhere_is_not_touched(tmp_path: Path) -> None:
    record = dkim.record(text_at(DKIM))
    path = rewritten(tmp_path, ("\nappliance:", f"\nappliance:\n  # {record}"))
    notices = rotate(path, DKIM, NOBODY).notices
    assert notices[0] == "the comments at its top have no such DNS record to update"
    assert path.read_text().count(record) == 1


@pytest.mark.parametrize("key", [*LOST, DKIM])
def test_a_key_that_is_not_there_is_not_made(key: str, tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_text("#cloud-config\nappliance:\n  standby: true\n")
    with pytest.raises(RefusedError, match=f"{key} is not in this file") as caught:
        rotate(path, key, NOBODY)
    assert f'{key.rpartition(".")[2]}: ""' in caught.value.hint


@pytest.mark.parametrize("value", ['""', "", "damaged"])
def test_an_empty_or_damaged_key_is_made(value: str, tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_text(f"#cloud-config\nappliance:\n  standby: true\n  dkim:\n    key: {value}\n  domain: a.example.org\n")
    notices = rotate(path, DKIM, NOBODY).notices
    assert "default._domainkey.a.example.org. IN TXT" in notices[2]
    assert load(path).appliance.dkim.key.get_secret_value().startswith("-----BEGIN RSA PRIVATE KEY-----\n")


@pytest.mark.parametrize("key", LOST)
def test_a_key_that_data_needs_is_refused(key: str, file: Path) -> None:
    before, modified = file.read_bytes(), file.stat().st_mtime_ns
    with pytest.raises(RefusedError, match=f"without the old {key}, nobody can {LOST[key]}") as caught:
        rotate(file, key, NOBODY)
    assert "--keep-old FILE" in caught.value.hint
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, modified)


def test_what_nobody_needs_is_not_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"the old appliance\.dkim\.key is not needed"):
        rotate(file, DKIM, NOBODY, keep_old=tmp_path / "old")
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("key", LOST)
def test_the_old_key_is_kept(key: str, file: Path, tmp_path: Path) -> None:
    old, kept = text_at(key, file.read_text()), tmp_path / "old.asc"
    notices = rotate(file, key, gpg(), keep_old=kept).notices
    assert kept.read_text() == old
    assert kept.stat().st_mode & 0o7777 == 0o600
    assert text_at(key, file.read_text()) == text_at("ecs.vault_sign")
    assert LOST[key] in notices[0] and str(kept) in notices[0]


def test_a_run_that_was_cut_off_is_done_again(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "old.asc"
    kept.write_text(text_at("ecs.vault_sign", file.read_text()))
    rotate(file, "ecs.vault_sign", gpg(), keep_old=kept)
    assert kept.read_text() == text_at("ecs.vault_sign")


def test_the_file_for_the_old_key_is_never_overwritten(file: Path, tmp_path: Path) -> None:
    before, kept = file.read_bytes(), tmp_path / "old.asc"
    kept.write_text("precious")
    with pytest.raises(RefusedError, match="already exists"):
        rotate(file, "ecs.vault_sign", gpg(), keep_old=kept)
    for place, message in ((tmp_path, "Is a directory"), (tmp_path / "no/old.asc", "No such file or directory")):
        with pytest.raises(ApplianceError, match=f"cannot write .*: {message}"):
            rotate(file, "ecs.vault_sign", gpg(), keep_old=place)
    assert (kept.read_text(), file.read_bytes()) == ("precious", before)


def test_an_empty_key_that_data_would_need_is_made(tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_text('#cloud-config\nappliance: {standby: true}\necs: {vault_sign: ""}\n')
    rotate(path, "ecs.vault_sign", gpg())
    assert load(path).ecs.vault_sign.get_secret_value() == text_at("ecs.vault_sign")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("ecs.vault_sgn", "ecs.vault_sign"),
        ("SECRET_KEY", "ecs.settings.SECRET_KEY"),
        ("dkim", "appliance.dkim.key"),
        ("appliance.dkim", "appliance.dkim.key"),
        ("ECS.VAULT_ENCRYPT", "ecs.vault_encrypt"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest(key: str, meant: str, file: Path) -> None:
    with pytest.raises(RefusedError, match=f"cannot be rotated, did you mean {meant}") as caught:
        rotate(file, key, NOBODY)
    assert all(known in caught.value.hint for known in ROTATABLE)


def test_what_cannot_be_rotated_is_refused_with_what_can(file: Path) -> None:
    # No other key may be rotated instead.
    for key in ("disable_root", "appliance.backup.password"):
        with pytest.raises(RefusedError, match=f'"{key}" cannot be rotated$'):
            rotate(file, key, NOBODY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SMALLEST.replace("\n", "\r\n"), "Windows line endings"),
        ("#cloud-config\nappliance: [\n", "error"),
        (SMALLEST.replace("#cloud-config\n", ""), "the first line must be"),
        (SMALLEST.replace("ecs.example.org", "no_domain"), "expected"),
        ("#cloud-config\n\0", "zero byte"),
        ("", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_alone(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_bytes(content.encode())
    with pytest.raises(InvalidEnvError, match=message) as caught:
        rotate(path, SECRET, NOBODY)
    assert caught.value.message.startswith(f"{path}:")
    assert path.read_bytes() == content.encode()


def test_a_file_that_cannot_be_read_is_a_calm_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in (("no.yml", "No such file"), (".", "Is a directory"), ("loop", "Too many levels")):
        with pytest.raises(ApplianceError, match=f"cannot read .*: {message}"):
            rotate(tmp_path / name, SECRET, NOBODY)


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    before, link = file.read_bytes(), tmp_path / "link.yml"
    link.symlink_to(file)
    assert rotate(link, SECRET, NOBODY).file == file
    assert link.readlink() == file
    assert file.read_bytes() != before


def test_the_file_is_closed_to_others(file: Path) -> None:
    file.chmod(0o644)
    rotate(file, SECRET, NOBODY)
    assert file.stat().st_mode & 0o7777 == 0o600


def test_where_nothing_can_be_written_the_file_stays_and_the_old_key_is_kept(file: Path, tmp_path: Path) -> None:
    """The name already has the maximum length, so a longer one for a temporary file is impossible."""
    path = file.rename(tmp_path / f"{'x' * 246}.env.yml")
    before, kept = path.read_bytes(), tmp_path / "old.asc"
    with pytest.raises(ApplianceError, match=r"cannot write .*: File name too long"):
        rotate(path, "ecs.vault_sign", gpg(), keep_old=kept)
    assert path.read_bytes() == before
    assert kept.read_text() == text_at("ecs.vault_sign")
    assert sorted(tmp_path.iterdir()) == sorted([path, kept])


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(file: Path, tmp_path: Path) -> None:
    runner = gpg(lambda: file.write_text("somebody else's"))
    with pytest.raises(RefusedError, match="was changed in the meantime"):
        rotate(file, "ecs.vault_sign", runner, keep_old=tmp_path / "old.asc")
    assert file.read_text() == "somebody else's"


def test_two_rotations_do_not_run_into_each_other(file: Path) -> None:
    with file.open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another rotation"):
            rotate(file, SECRET, NOBODY)


@pytest.mark.parametrize("key", ROTATABLE)
def test_no_secret_is_told(key: str, file: Path, tmp_path: Path) -> None:
    known = list(secrets(load(file)))
    notices = "\n".join(rotate(file, key, gpg(), keep_old=tmp_path / "old.asc" if key in LOST else None).notices)
    words = [line for secret in (*known, *secrets(load(file))) for line in secret.splitlines() if len(line) > 20]
    public = dkim.record(text_at(DKIM, file.read_text()))
    assert [word for word in words if word in notices and word not in public] == []


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "env.yml"
    os.mkfifo(pipe)
    with pytest.raises(ApplianceError, match="it is not a regular file"):
        rotate(pipe, "ecs.settings.SECRET_KEY", AnsweringRunner(lambda argv: pytest.fail(f"{argv[0]} was started")))


def test_backups_without_a_password_go_on_with_the_one_of_the_old_key(tmp_path: Path) -> None:
    file = rewritten(tmp_path)
    before = backup_password(load(file).appliance.backup)
    rotated = rotate(file, "appliance.backup.encrypt", gpg(), keep_old=tmp_path / "old.asc")
    assert load(file).appliance.backup.password.get_secret_value() == before
    assert any("appliance.backup.password was added" in line for line in rotated.notices)
    assert before not in "".join(rotated.notices)


def test_a_given_password_of_backups_stays(file: Path, tmp_path: Path) -> None:
    rotated = rotate(file, "appliance.backup.encrypt", gpg(), keep_old=tmp_path / "old.asc")
    assert load(file).appliance.backup.password.get_secret_value() == "a password"
    assert not any("appliance.backup.password" in line for line in rotated.notices)
