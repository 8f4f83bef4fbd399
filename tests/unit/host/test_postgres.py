"""What a server that has ended says of why."""

from ecs_appliance.host.postgres import last_words

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
    assert last_words("") == last_words(LOG.splitlines()[2]) == "it does not say why"
