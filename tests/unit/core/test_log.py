"""Registered secrets never get through."""

import logging

from ecs_appliance.core.log import MASK, MaskingFormatter, masked, register_secret


def test_secrets_are_masked_in_messages_and_tracebacks() -> None:
    register_secret("correct horse battery")
    try:
        raise ValueError("it was correct horse battery")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "told %s", ("correct horse battery",), None)
        record.exc_info = (ValueError, error, error.__traceback__)
    text = MaskingFormatter(journal=False).format(record)
    assert "correct horse battery" not in text
    assert f"told {MASK}" in text
    assert f"ValueError: it was {MASK}" in text


def test_each_line_of_a_block_is_a_secret_of_its_own() -> None:
    register_secret("first line of key\nsecond line of key\n")
    assert masked("seen: second line of key") == f"seen: {MASK}"


def test_short_words_are_left_alone() -> None:
    register_secret("app")
    assert masked("the app runs") == "the app runs"


def test_journal_lines_carry_their_priority() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "one\ntwo", (), None)
    assert MaskingFormatter(journal=True).format(record) == "<4>one\n<4>two"
