"""dehydrated, the ACME client: runs as the account app, which owns its keys and its ACME account."""

import base64
import datetime
import email.utils
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.errors import DeadlineError, NetworkError
from ecs_appliance.core.runner import CommandError, Runner
from ecs_appliance.core.text import printable

log = logging.getLogger(__name__)

USER = "app"
REGISTER_TIMEOUT = 180
# For one name: order, challenge, validation and certificate.
ISSUE_TIMEOUT = 300
ERROR_TYPE = re.compile(r"urn:ietf:params:acme:error:([A-Za-z]+)")
DETAIL = re.compile(r'"detail"\]?\s*:?\s*("(?:[^"\\]|\\.)*")')
RETRY_AFTER = re.compile(r"^retry-after:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
# Let's Encrypt's form of it, within the message.
RETRY_AT = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")
CONNECTION = re.compile(r"Problem connecting to server \(\w+ for (\S+); curl returned with (\d+)\)")
PLAIN_ERROR = re.compile(r"^\s*(?:\+ )?ERROR: (.+)$", re.MULTILINE)
CHALLENGE = "Challenge is invalid"
CLOSED = "Account has been deactivated"
UNREACHED = "unreached"
SECONDS = re.compile(r"[0-9]{1,10}")
# Limits: characters of a server's message, lines of the client's output that are logged.
LONGEST_WORDS, LOGGED_LINES = 300, 15
FILE_TIMEOUT = 30
CURL = {6: "its name cannot be resolved", 7: "no connection could be made", 28: "it did not answer in time"}
CURL_TRUST = (35, 51, 60, 77)


class AcmeError(NetworkError):
    """The ACME server issued no certificate.

    `kind` is the protocol's name of the error (rateLimited, unauthorized …; RFC 8555, 6.7), `UNREACHED`, or empty if
    unknown; `account_lost` means that the server does not know the account or has deactivated it; `retry_at` is the
    Unix time before which it does not want another request, 0 without one.
    """

    def __init__(self, message: str, *, kind: str = "", account_lost: bool = False, retry_at: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.account_lost = account_lost
        self.retry_at = retry_at


@dataclass(frozen=True)
class Client:
    """dehydrated as configured in /etc/dehydrated, for the authority `directory`, with its state in `folder`."""

    runner: Runner
    folder: Path
    directory: str

    def register(self) -> None:
        """Create the account if there is none and accept the authority's terms. Raise AcmeError."""
        self._run("dehydrated", "--no-lock", "--register", "--accept-terms", timeout=REGISTER_TIMEOUT)

    def issue(self, name: str) -> None:
        """Obtain a new certificate for `name`, even if there is a valid one. Raise AcmeError."""
        # Without its own lock, which a killed run would leave forever; our lock serializes all runs.
        words = ("--no-lock", "--cron", "--force", "--domain", name, "--alias", name)
        self._run("dehydrated", *words, timeout=ISSUE_TIMEOUT)

    def forget_account(self) -> None:
        """Move the account that this authority no longer knows aside, so that `register` creates another one."""
        account = self.folder / "accounts" / account_folder(self.directory)
        aside = self.folder / "accounts.unknown"
        if not account.is_dir():
            return
        # As the folder's owner, so that links in it cannot lead root elsewhere.
        self._run("rm", "-rf", "--", str(aside), timeout=FILE_TIMEOUT)
        self._run("mv", "-T", "--", str(account), str(aside), timeout=FILE_TIMEOUT)

    def _run(self, *argv: str, timeout: float) -> None:
        said: list[str] = []
        environment = {"HOME": str(self.folder)}
        try:
            self.runner.run(argv, timeout=timeout, user=USER, cwd=Path("/"), env=environment, on_line=said.append)
        except CommandError as error:
            log.info("%s", "\n".join(map(printable, said[-LOGGED_LINES:])))
            raise read_failure("\n".join(said) or error.message) from None
        except DeadlineError:
            raise AcmeError(f"the ACME server did not finish within {timeout:g} s", kind=UNREACHED) from None


def account_folder(directory: str) -> str:
    """Return dehydrated's folder name for the account with the authority `directory`."""
    return base64.urlsafe_b64encode(f"{directory}\n".encode()).decode().rstrip("=")


def read_failure(output: str) -> AcmeError:
    """Return the failure that dehydrated's `output` reports, with a one-sentence message."""
    connection = CONNECTION.search(output)
    if connection:
        url, reason = connection.group(1), _curl(int(connection.group(2)))
        return AcmeError(f"the ACME server {_short(url)} cannot be reached: {reason}", kind=UNREACHED)
    kinds, details = ERROR_TYPE.findall(output), DETAIL.findall(output)
    if not kinds:
        plain = PLAIN_ERROR.findall(output)
        said = _short(plain[-1] if plain else output) or "no output"
        return AcmeError(f"the ACME client failed: {said}", account_lost=CLOSED in output)
    detail = _short(_unquoted(details[-1])) if details else "no reason given"
    lost = kinds[-1] == "accountDoesNotExist" or (kinds[-1] == "unauthorized" and "account" in detail.lower())
    return AcmeError(
        f"the ACME server refused: {detail} ({kinds[-1]})",
        kind=kinds[-1],
        account_lost=lost and CHALLENGE not in output,
        retry_at=_retry_at(output, detail),
    )


def _curl(code: int) -> str:
    if code in CURL_TRUST:
        return "its certificate is not trusted"
    return CURL.get(code, f"curl's exit code is {code}")


def _unquoted(literal: str) -> str:
    try:
        return str(json.loads(literal))
    except ValueError:
        return literal.strip('"')


def _short(text: str) -> str:
    """Return a remote server's text as one short, printable line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_WORDS else f"{line[:LONGEST_WORDS]}…"


def _retry_at(output: str, detail: str) -> float:
    stated, header = RETRY_AT.search(detail), RETRY_AFTER.search(output)
    try:
        if stated:
            return datetime.datetime.fromisoformat(f"{stated.group(1)}T{stated.group(2)}+00:00").timestamp()
        if header is None:
            return 0.0
        if SECONDS.fullmatch(header.group(1)):
            return datetime.datetime.now(datetime.UTC).timestamp() + int(header.group(1))
        return email.utils.parsedate_to_datetime(header.group(1)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
