"""dehydrated, the ACME client: run as the account app, which owns its keys and its account."""

import datetime
import email.utils
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import ApplianceError, DeadlineError
from ecs_appliance.core.runner import CommandError, Runner

USER = "app"
REGISTER_TIMEOUT = 180
# One name: an order, a challenge, its validation, a certificate.
ISSUE_TIMEOUT = 300
ERROR_TYPE = re.compile(r"urn:ietf:params:acme:error:([A-Za-z]+)")
DETAIL = re.compile(r'"detail"\]?\s*:?\s*("(?:[^"\\]|\\.)*")')
RETRY_AFTER = re.compile(r"^retry-after:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
# How Let's Encrypt says it within the message.
RETRY_AT = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")
CONNECTION = re.compile(r"Problem connecting to server \(\w+ for (\S+); curl returned with (\d+)\)")
PLAIN_ERROR = re.compile(r"^\s*(?:\+ )?ERROR: (.+)$", re.MULTILINE)
CHALLENGE = "Challenge is invalid"
CURL = {6: "its name cannot be resolved", 7: "nothing answers there", 28: "it did not answer in time"}
CURL_TRUST = (35, 51, 60, 77)


class AcmeError(ApplianceError):
    """The ACME server gave no certificate.

    `kind` is the protocol's own name of the error (rateLimited, unauthorized …; RFC 8555, 6.7), empty without one;
    `challenge` says that it was the name that could not be proven, `retry_at` is the Unix time before which the server
    wants not to be asked again.
    """

    def __init__(self, message: str, *, kind: str = "", challenge: bool = False, retry_at: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.challenge = challenge
        self.retry_at = retry_at


@dataclass(frozen=True)
class Client:
    """dehydrated as /etc/dehydrated configures it, with its state in `folder`."""

    runner: Runner
    folder: Path

    def register(self) -> None:
        """Have an account, made at the first time; its terms are accepted. Raises AcmeError."""
        self._run("--register", "--accept-terms", timeout=REGISTER_TIMEOUT)

    def issue(self, name: str) -> None:
        """Get a new certificate for `name`, whatever there is. Raises AcmeError."""
        self._run("--cron", "--force", "--domain", name, "--alias", name, timeout=ISSUE_TIMEOUT)

    def forget_account(self) -> None:
        """Put accounts aside that the server no longer knows: the next `register` makes one."""
        accounts = self.folder / "accounts"
        if accounts.is_dir() and not accounts.is_symlink():
            aside = self.folder / "accounts.unknown"
            shutil.rmtree(aside, ignore_errors=True)
            accounts.rename(aside)

    def _run(self, *words: str, timeout: float) -> None:
        # Without its own lock: that of a killed run would stay for ever, and ours orders all runs.
        argv = ["dehydrated", "--no-lock", *words]
        said: list[str] = []
        environment = {"HOME": str(self.folder)}
        try:
            self.runner.run(argv, timeout=timeout, user=USER, cwd=Path("/"), env=environment, on_line=said.append)
        except CommandError as error:
            raise read_failure("\n".join(said) or error.message) from None
        except DeadlineError:
            raise AcmeError(f"the ACME server did not come to an end within {timeout:g} s") from None


def read_failure(output: str) -> AcmeError:
    """What dehydrated's `output` says of a failure, in a sentence."""
    connection = CONNECTION.search(output)
    if connection:
        return AcmeError(f"the ACME server {connection.group(1)} is not reached: {_curl(int(connection.group(2)))}")
    kinds, details = ERROR_TYPE.findall(output), DETAIL.findall(output)
    if not kinds:
        plain = PLAIN_ERROR.findall(output)
        said = plain[-1] if plain else " ".join(output.split())[-200:] or "it said nothing"
        return AcmeError(f"the ACME client failed: {said}")
    detail = _unquoted(details[-1]) if details else "without a reason"
    return AcmeError(
        f"the ACME server refused: {detail} ({kinds[-1]})",
        kind=kinds[-1],
        challenge=CHALLENGE in output,
        retry_at=_retry_at(output, detail),
    )


def _curl(code: int) -> str:
    if code in CURL_TRUST:
        return "its certificate is not trusted"
    return CURL.get(code, f"curl's exit code is {code}")


def _unquoted(literal: str) -> str:
    try:
        text = str(json.loads(literal))
    except ValueError:
        text = literal.strip('"')
    return " ".join(text.split())


def _retry_at(output: str, detail: str) -> float:
    told = RETRY_AT.search(detail)
    if told:
        return datetime.datetime.fromisoformat(f"{told.group(1)}T{told.group(2)}+00:00").timestamp()
    header = RETRY_AFTER.search(output)
    if header is None:
        return 0.0
    now = datetime.datetime.now(datetime.UTC)
    if header.group(1).isdigit():
        return now.timestamp() + int(header.group(1))
    try:
        return email.utils.parsedate_to_datetime(header.group(1)).timestamp()
    except ValueError:
        return 0.0
