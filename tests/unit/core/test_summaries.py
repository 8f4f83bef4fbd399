"""Failures are summarized in a line that gives the reason."""

import errno

import pytest

from ecs_appliance.core.errors import ApplianceError, StorageError, UnexpectedError, as_failure
from ecs_appliance.core.text import summarize

MIGRATION = """\
the migration of the database failed: docker run --name=appliance-migration failed with exit code 1:
Running migrations:
  Applying documents.0007_check...Traceback (most recent call last):
  File "./manage.py", line 10, in <module>
    execute_from_command_line(sys.argv)
django.db.utils.IntegrityError: check constraint "positive" is violated by some row
"""
APT = """\
ecs/ecs:ff could not be built: docker buildx build failed with exit code 1:
#9 12.3 E: Unable to locate package libfoo
#9 12.3 E: Sub-process /usr/bin/dpkg returned an error code (1)
------
ERROR: failed to solve: process "/bin/sh -c apt-get install" did not complete successfully: exit code: 100
"""


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ("one line", "one line"),
        ("one line\nand another", "one line"),
        ("", ""),
        (
            MIGRATION,
            "the migration of the database failed: "
            'django.db.utils.IntegrityError: check constraint "positive" is violated by some row',
        ),
        (APT, "ecs/ecs:ff could not be built: #9 12.3 E: Unable to locate package libfoo"),
        ("sh -c exit failed with exit code 3", "sh -c exit failed with exit code 3"),
        ("git fetch failed with exit code 128:\nfatal: repository not found", "fatal: repository not found"),
        ("hook x failed: x.sh was ended by SIGKILL:\nworking\n", "hook x failed: working"),
        ("not all there:\n  missing  a\n  missing  b", "not all there: missing  b"),
        ("what failed:\n---\n", "what failed:"),
    ],
)
def test_a_summary_names_the_reason(message: str, summary: str) -> None:
    assert summarize(message) == summary
    assert ApplianceError(message).summary == summary


def test_an_error_of_the_disk_names_the_file_and_the_remedy() -> None:
    failure = as_failure(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert type(failure) is StorageError
    assert failure.message == "/data/x: No space left on device"
    assert "df -h" in failure.hint


def test_a_defect_says_so() -> None:
    failure = as_failure(ValueError("no\nsuch"))
    assert type(failure) is UnexpectedError
    assert failure.message == "ValueError: no"
    assert "bug" in failure.hint


def test_a_known_error_stays_itself() -> None:
    error = ApplianceError("what", "next")
    assert as_failure(error) is error
