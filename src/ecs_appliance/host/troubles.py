"""Translate errors of restic, ssh and rclone into messages that name the remedy."""

import re
from dataclasses import dataclass

from ecs_appliance.core.errors import ApplianceError, NetworkError, RefusedError
from ecs_appliance.core.runner import CommandError

URL = "correct appliance.backup.url, or look at the server"


@dataclass(frozen=True)
class Trouble:
    """An error whose output matches `pattern`; `message` may use its groups and `shown`, the target."""

    pattern: re.Pattern[str]
    message: str
    hint: str
    kind: type[ApplianceError] = ApplianceError


def _trouble(pattern: str, message: str, hint: str, kind: type[ApplianceError] = ApplianceError) -> Trouble:
    return Trouble(re.compile(pattern, re.IGNORECASE), message, hint, kind)


# The first match counts, so the more specific patterns come first.
TROUBLES = (
    _trouble(
        r"Remove\(<(snapshot|index|data)/.*?failed: .*(40[135]|denied|forbidden)",
        "the server at {shown} lets no backup be removed",
        "if it is meant to keep them all: appliance.backup.append_only: true, and remove old ones there",
        RefusedError,
    ),
    _trouble(
        r"\"?rclone\"?: executable file not found",
        "this target needs rclone",
        "appliance converge installs it; or: apt-get install rclone",
        RefusedError,
    ),
    _trouble(
        r"x509: certificate has expired or is not yet valid: (?P<when>[^\n]*)",
        "the certificate of {shown} is out of date: {when}",
        "renew it there; if it is this machine's clock that is wrong: timedatectl",
    ),
    _trouble(
        r"x509: (?P<why>certificate (?:is valid for|is not valid for)[^\n]*|cannot validate certificate[^\n]*)",
        "the certificate of {shown} is another's: {why}",
        URL,
    ),
    _trouble(
        r"x509:",
        "the certificate of {shown} is not trusted",
        "put the CA's certificate into appliance.backup.authority; if there is one, something else answers",
    ),
    _trouble(
        r"server gave HTTP response to HTTPS client",
        "{shown} does not speak TLS",
        "without it the URL is NAME:http://…",
    ),
    _trouble(
        r"RequestTimeTooSkewed|difference between the request time",
        "{shown} refuses us because clocks differ: this machine's or its own is wrong",
        "timedatectl shows the time here",
    ),
    _trouble(
        r"bucket does not exist|NoSuchBucket",
        "there is no such bucket: {shown}",
        "make it there, or correct appliance.backup.url",
        RefusedError,
    ),
    _trouble(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known",
        "{shown} has another key than those in appliance.backup.host_keys",
        "ask its administrator what ssh-keyscan HOST should print; if it is not that, something else answers",
    ),
    _trouble(
        r"Permission denied \(",
        "{shown} does not let us in with appliance.backup.ssh_key",
        "put its public half into the server's authorized_keys: ssh-keygen -y prints it",
    ),
    _trouble(
        r"\(?40[13]\)?:? (Unauthorized|Forbidden)|access ?denied|InvalidAccessKeyId|access key id you provided"
        r"|SignatureDoesNotMatch|signature we calculated|no credentials found",
        "{shown} does not accept appliance.backup.user and secret, or they may not do this",
        "correct them, or the rights they have there",
    ),
    _trouble(
        r"no such host|could not resolve|Name or service not known|Temporary failure in name resolution",
        "the host of {shown} is not known",
        "correct appliance.backup.url; resolvectl or /etc/resolv.conf, if it is right",
        NetworkError,
    ),
    _trouble(
        r"connection refused",
        "nothing answers at {shown}: the connection is refused",
        URL,
        NetworkError,
    ),
    _trouble(
        r"i/o timeout|timed out|no route to host|network is unreachable|stuck|deadline exceeded|not responding"
        r"|ssh command exited|connection reset"
        r"|broken pipe|connection closed|connection lost|request canceled|context canceled",
        "{shown} is not reached, or the connection was lost",
        "look at the network and the server; the next run goes on",
        NetworkError,
    ),
    _trouble(
        r"unable to start the sftp session",
        "no sftp session with {shown}: it is not reached, has another key than those in "
        "appliance.backup.host_keys, or does not accept ours",
        "with appliance.backup.ssh_key in a file: sftp -v -i FILE -o IdentitiesOnly=yes USER@HOST tells which",
    ),
)


def explain(error: CommandError, shown: str) -> ApplianceError:
    """Return `error` of a command on the target `shown` in an operator's terms, or unchanged if nothing matches."""
    said = f"{error.output}\n{error.message}"
    for trouble in TROUBLES:
        if found := trouble.pattern.search(said):
            groups = {name: text for name, text in found.groupdict().items() if text}
            return trouble.kind(trouble.message.format(shown=shown, **groups), trouble.hint)
    return error
