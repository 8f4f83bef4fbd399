"""Translate errors of restic, ssh and rclone into messages that name the remedy."""

import re
from dataclasses import dataclass

from ecs_appliance.core.errors import ApplianceError, NetworkError, RefusedError
from ecs_appliance.core.runner import CommandError

URL = "correct appliance.backup.url, or check the server"


@dataclass(frozen=True)
class ErrorPattern:
    """An error whose output matches `pattern`; `message` may use its groups and `shown`, the target."""

    pattern: re.Pattern[str]
    message: str
    hint: str
    kind: type[ApplianceError] = ApplianceError


def _pattern(pattern: str, message: str, hint: str, kind: type[ApplianceError] = ApplianceError) -> ErrorPattern:
    return ErrorPattern(re.compile(pattern, re.IGNORECASE), message, hint, kind)


# The first match counts, so the more specific patterns come first.
ERROR_PATTERNS = (
    _pattern(
        r"Remove\(<(snapshot|index|data)/.*?failed: .*(40[135]|denied|forbidden)",
        "the server at {shown} does not allow backups to be removed",
        "if this is intended: set appliance.backup.append_only: true, and remove old backups there",
        RefusedError,
    ),
    _pattern(
        r"\"?rclone\"?: executable file not found",
        "this target needs rclone",
        "appliance converge installs it; or: apt-get install rclone",
        RefusedError,
    ),
    _pattern(
        r"x509: certificate has expired or is not yet valid: (?P<when>[^\n]*)",
        "the certificate of {shown} is expired or not yet valid: {when}",
        "renew it there; or correct this machine's clock: timedatectl",
    ),
    _pattern(
        r"x509: (?P<why>certificate (?:is valid for|is not valid for)[^\n]*|cannot validate certificate[^\n]*)",
        "the certificate of {shown} is for a different host: {why}",
        URL,
    ),
    _pattern(
        r"x509:",
        "the certificate of {shown} is not trusted",
        "set appliance.backup.authority to the CA's certificate; if it is set, a different server is answering",
    ),
    _pattern(
        r"server gave HTTP response to HTTPS client",
        "{shown} does not speak TLS",
        "without TLS, the URL is NAME:http://…",
    ),
    _pattern(
        r"RequestTimeTooSkewed|difference between the request time",
        "{shown} refuses the request because its clock and this machine's differ",
        "check this machine's clock: timedatectl",
    ),
    _pattern(
        r"bucket does not exist|NoSuchBucket",
        "there is no such bucket: {shown}",
        "create it there, or correct appliance.backup.url",
        RefusedError,
    ),
    _pattern(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known",
        "the host key of {shown} is not among appliance.backup.host_keys",
        "ask its administrator what ssh-keyscan HOST should print; if it prints something else, a different server "
        "is answering",
    ),
    _pattern(
        r"Permission denied \(",
        "{shown} does not accept appliance.backup.ssh_key",
        "add its public key to the server's authorized_keys: ssh-keygen -y prints it",
    ),
    _pattern(
        r"\(?40[13]\)?:? (Unauthorized|Forbidden)|access ?denied|InvalidAccessKeyId|access key id you provided"
        r"|SignatureDoesNotMatch|signature we calculated|no credentials found",
        "{shown} does not accept appliance.backup.user and secret, or does not permit this operation",
        "correct them, or their permissions there",
    ),
    _pattern(
        r"no such host|could not resolve|Name or service not known|Temporary failure in name resolution",
        "the host of {shown} cannot be resolved",
        "correct appliance.backup.url; if it is correct, check resolvectl or /etc/resolv.conf",
        NetworkError,
    ),
    _pattern(
        r"connection refused",
        "nothing is listening at {shown}: the connection was refused",
        URL,
        NetworkError,
    ),
    _pattern(
        r"i/o timeout|timed out|no route to host|network is unreachable|stuck|deadline exceeded|not responding"
        r"|ssh command exited|connection reset"
        r"|broken pipe|connection closed|connection lost|request canceled|context canceled",
        "{shown} cannot be reached, or the connection was lost",
        "check the network and the server; the next run will continue",
        NetworkError,
    ),
    _pattern(
        r"unable to start the sftp session",
        "no sftp session with {shown}: it cannot be reached, its host key is not among appliance.backup.host_keys, "
        "or it does not accept appliance.backup.ssh_key",
        "save appliance.backup.ssh_key to FILE; then sftp -v -i FILE -o IdentitiesOnly=yes USER@HOST shows which",
    ),
)


def translate(error: CommandError, shown: str) -> ApplianceError:
    """Return `error` of a command on the target `shown` in an operator's terms, or unchanged if nothing matches."""
    said = f"{error.output}\n{error.message}"
    for trouble in ERROR_PATTERNS:
        if found := trouble.pattern.search(said):
            groups = {name: text for name, text in found.groupdict().items() if text}
            return trouble.kind(trouble.message.format(shown=shown, **groups), trouble.hint)
    return error
