"""Error messages of programs about servers, verbatim, and their wording for operators."""

import pytest

from ecs_appliance.core.errors import ApplianceError, RefusedError
from ecs_appliance.core.runner import CommandError
from ecs_appliance.host.restic_errors import translate

SHOWN = "rest:https://host/"
HEAD = 'Stat(<config/>) returned error, retrying after 1s: Head "https://u:***@host/config": '
RCLONE = 'rclone: 2026/11/26 10:42:12 Failed to create file system for "target:ecs": read metadata failed: '


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (HEAD + "dial tcp 192.0.2.1:443: connect: connection refused", "nothing is listening at"),
        (HEAD + "dial tcp: lookup host on 192.0.2.53:53: no such host", "the host of .* cannot be resolved"),
        (HEAD + "dial tcp 192.0.2.1:443: i/o timeout", "cannot be reached"),
        (HEAD + "tls: failed to verify certificate: x509: certificate signed by unknown authority", "is not trusted"),
        (
            HEAD + "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: "
            "current time 2036-11-26T10:41:12Z is after 2026-11-25T10:40:15Z",
            "expired or not yet valid: current time 2036-11-26T10:41:12Z is after",
        ),
        (
            HEAD + "x509: certificate is valid for other.example, not host",
            "is for a different host: certificate is valid for",
        ),
        (HEAD + "http: server gave HTTP response to HTTPS client", "does not speak TLS"),
        ("Fatal: unable to open config file: unexpected HTTP response (401): 401 Unauthorized", "does not accept"),
        (RCLONE + "Unauthorized: 401 Unauthorized", "does not accept"),
        (
            RCLONE + 'Propfind "https://host/ecs": dial tcp 192.0.2.1:443: connect: connection refused',
            "nothing is listening",
        ),
        ("Stat: The specified bucket does not exist", "no such bucket"),
        ("Stat: The AWS Access Key Id you provided does not exist in our records.", "does not accept"),
        ("Stat: The request signature we calculated does not match the signature you provided.", "does not accept"),
        (
            "Stat: The difference between the request time and the current time is too large.",
            "clock and this machine's differ",
        ),
        (
            "Remove(<snapshot/c679993371>) failed: unexpected HTTP response (403): 403 Forbidden",
            "does not allow backups to be",
        ),
        ("subprocess ssh: Host key verification failed.", "is not among"),
        ("subprocess ssh: ecs@host: Permission denied (publickey).", "does not accept"),
        ("subprocess ssh: ssh: connect to host host port 22: Connection refused", "nothing is listening"),
        ('error talking HTTP to rclone: exec: "rclone": executable file not found in $PATH', "needs rclone"),
    ],
)
def test_each_trouble_is_told_in_words_that_name_the_target_and_the_remedy(said: str, told: str) -> None:
    error = translate(CommandError("restic failed", returncode=1, output=said), SHOWN)
    with pytest.raises(ApplianceError, match=told):
        raise error
    assert error.hint


def test_what_was_refused_is_told_as_that() -> None:
    said = CommandError("restic failed", output="Stat: The specified bucket does not exist")
    assert isinstance(translate(said, SHOWN), RefusedError)


def test_what_nobody_knows_stays_as_it_was_said() -> None:
    error = CommandError("restic failed with exit code 1:\nsomething new", output="something new")
    assert translate(error, SHOWN) is error
