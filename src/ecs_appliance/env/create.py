"""Creates a new env.yml with new secrets."""

import base64
import os
import re
import secrets
import textwrap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, InvalidEnvError, RefusedError
from ecs_appliance.core.files import write_atomic
from ecs_appliance.core.runner import Runner
from ecs_appliance.env import formats
from ecs_appliance.env.decoding import decode, read
from ecs_appliance.env.diagnostics import quoted, report
from ecs_appliance.env.pgp_keys import USERS
from ecs_appliance.env.tree import parse, typed

TEMPLATE = Path(__file__).with_name("template.yml")
FILE_NAME = "env.yml"
RANDOM_BYTES = 39
ALONE = re.compile(r"^([ #]*)\{\{ (\w+) \}\}$", re.MULTILINE)
WITHIN = re.compile(r"\{\{ (\w+) \}\}")


@dataclass(frozen=True, repr=False)
class Secrets:
    """All secrets of a new env.yml, by their names in the template."""

    dkim_key: str
    backup_key: str
    backup_password: str
    vault_encrypt_key: str
    vault_sign_key: str
    secret_key: str
    registration_secret: str
    password_reset_secret: str


def create(
    domain: str, target: str, runner: Runner, *, template: Path | None = None, extra: Path | None = None
) -> Path:
    """Write a new env.yml for `domain`, 0600, and return its path.

    `target` is the file, or the folder for a file env.yml (an existing one, or with a slash at the end). The YAML file
    `extra` is merged over the template: mappings are merged key by key; lists and other values replace existing ones.
    Raise RefusedError if the file exists or the domain is invalid, ApplianceError if template or extra cannot be read,
    InvalidEnvError if the result would be invalid; nothing is written then.
    """
    path = _path(target)
    text = render(domain, _read_extra(extra) if extra else {}, runner=runner, template=template)
    _refuse_overwrite(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, text, mode=0o600)
    except OSError as error:
        raise ApplianceError(f"cannot write {path}: {error.strerror}") from None
    return path


def render(
    domain: str, overrides: Mapping[str, object] | None = None, *, runner: Runner, template: Path | None = None
) -> str:
    """Return the text of a new env.yml for `domain` with new secrets and `overrides` (dotted keys and their values).

    Raise as `create` does.
    """
    _check_domain(domain)
    source = decode(read(template or TEMPLATE))
    with ThreadPoolExecutor(max_workers=1) as pool:
        making = pool.submit(make_secrets, runner)
        # These imports are slow, and run while other threads generate keys.
        from ecs_appliance.env.check import check  # noqa: PLC0415
        from ecs_appliance.env.edit import set_values  # noqa: PLC0415

        text = fill(source, domain, making.result())
    if overrides:
        text = set_values(text, overrides)
    checked = check(text.encode())
    if not checked.ok:
        raise InvalidEnvError(report(checked.problems, FILE_NAME), "fix the template, or what was merged over it")
    return text


def _read_extra(file: Path) -> dict[str, object]:
    from ecs_appliance.env.edit import dotted  # noqa: PLC0415 # as in render

    return dotted(typed(parse(decode(read(file)), str(file))))


def make_secrets(runner: Runner) -> Secrets:
    """Generate all secrets in parallel. Raise CommandError if gpg is missing or fails."""
    # Imported here, in this thread, while the main thread imports other modules.
    from ecs_appliance.env import dkim, pgp_generate  # noqa: PLC0415

    with ThreadPoolExecutor(max_workers=1 + len(USERS)) as pool:
        dkim_key = pool.submit(dkim.make_key)
        backup, encrypt, sign = pool.map(lambda user: pgp_generate.make_key(user, runner), USERS.values())
        return Secrets(
            dkim_key=dkim_key.result(),
            backup_key=backup,
            backup_password=make_random(),
            vault_encrypt_key=encrypt,
            vault_sign_key=sign,
            secret_key=make_random(),
            registration_secret=make_random(),
            password_reset_secret=make_random(),
        )


def fill(template: str, domain: str, fresh: Secrets) -> str:
    """Fill in each `{{ name }}` of `template`: the names in `Secrets`, domain, letsencrypt, dns_records.

    The value of a name alone on its line may have several lines; each is prefixed like that line (spaces, `#`).
    Raise ApplianceError for an unknown name.
    """
    values: dict[str, str] = {name: value.strip("\n") for name, value in vars(fresh).items()}
    values |= {
        "domain": domain,
        "letsencrypt": "false" if domain == "localhost" else "true",
        "dns_records": "\n".join(dns_records(domain, fresh.dkim_key)),
    }

    def look_up(name: str) -> str:
        if name not in values:
            raise ApplianceError(
                f"the template has an unknown name: {quoted(name)}", f"known names: {', '.join(values)}"
            )
        return values[name]

    lines = ALONE.sub(lambda found: textwrap.indent(look_up(found[2]), found[1], lambda _: True), template)
    return WITHIN.sub(lambda found: look_up(found[1]), lines)


def dns_records(domain: str, dkim_key: str) -> list[str]:
    """Return the DNS records to publish for `domain`, aligned; an address of RFC 5737 stands in for the machine's."""
    from ecs_appliance.env import dkim  # noqa: PLC0415 # importing cryptography takes 0.05 s, hidden by key generation

    records = (
        (domain, "A", "192.0.2.1"),
        (domain, "MX", f"10 {domain}."),
        ("1.2.0.192.in-addr.arpa", "PTR", f"{domain}."),
        (domain, "TXT", '"v=spf1 mx -all"'),
        (dkim.name(domain), "TXT", f"( {dkim.record(dkim_key)} )"),
        (f"_dmarc.{domain}", "TXT", '"v=DMARC1; p=quarantine; adkim=s; aspf=s"'),
        (domain, "CAA", '0 issue "letsencrypt.org"'),
    )
    width = max(len(name) for name, _, _ in records) + 3
    return [f"{name + '.':{width}}IN {kind:4} {value}" for name, kind, value in records]


def make_random() -> str:
    """Return a new random password: RANDOM_BYTES in base64."""
    return base64.b64encode(secrets.token_bytes(RANDOM_BYTES)).decode()


def _check_domain(domain: str) -> None:
    try:
        wrong = "" if domain and formats.domain(domain) else "expected a domain"
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise RefusedError(f"{quoted(domain)} is not a valid domain: {wrong}")


def _path(target: str) -> Path:
    path = Path(target).expanduser()
    result = path / FILE_NAME if path.is_dir() or target.endswith(os.sep) else path
    _refuse_overwrite(result)
    return result


def _refuse_overwrite(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise RefusedError(f"{path} already exists: an env.yml is never overwritten", "choose another target")
