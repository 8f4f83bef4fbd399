"""The reason a server gives for exiting."""

import psycopg

from ecs_appliance.host.postgres import _no_connection, last_words

LOG = """
2026-11-26 22:01:00.000 CET [71] LOG:  starting PostgreSQL 17.6
2026-11-26 22:01:00.100 CET [72] postgres@postgres FATAL:  the database system is starting up
2026-11-26 22:01:00.200 CET [73] FATAL:  recovery ended before configured recovery target was reached
2026-11-26 22:01:00.210 CET [74] postgres@postgres FATAL:  the database system is shutting down
2026-11-26 22:01:00.220 CET [71] LOG:  shutting down due to startup process failure
"""


def test_what_it_tells_those_who_ask_meanwhile_is_no_reason() -> None:
    assert last_words(LOG) == "recovery ended before configured recovery target was reached"


def test_it_may_be_silent() -> None:
    assert last_words("") == last_words(LOG.splitlines()[2]) == "no reason given"


def test_a_server_that_does_not_answer_is_told_in_one_line_with_its_unit() -> None:
    """For systemd, postgresql itself is active whatever its cluster does."""
    error = _no_connection("ecs", psycopg.OperationalError("failed: No such file\n\tIs the server running?\n"))
    assert error.message == "PostgreSQL does not answer: failed: No such file"
    assert error.hint == "systemctl status postgresql@17-main.service"
