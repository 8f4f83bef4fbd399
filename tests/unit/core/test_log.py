"""Registered secrets are masked in the log, and untrusted text cannot imitate log records."""

import logging
import os
from pathlib import Path

import pytest

from ecs_appliance.core.log import MASK, MaskingFormatter, is_journal, masked, register_secret, set_up_logging


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
    assert MaskingFormatter(journal=True).format(record) == "<4>one\n<4>  two"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("web  | a\u2028prepare-ecs: done", "web  | a\\u2028prepare-ecs: done"),
        ("web  | a\rredis  | b", "web  | a\\rredis  | b"),
        ("web  | a\x1c\x1d\x1e\x0b\x0c\x85b", "web  | a\\x1c\\x1d\\x1e\\x0b\\x0c\\x85b"),
        ("web  | \x1b[2J\x1b]0;title\x07", "web  | \\x1b[2J\\x1b]0;title\\x07"),
        ("web  | \u202egnp.exe\u2066\u200b", "web  | \\u202egnp.exe\\u2066\\u200b"),
        ("<3>web  | äöü 😀\tend", "<3>web  | äöü 😀\tend"),
    ],
)
def test_a_line_of_others_stays_one_line_that_steers_nothing(said: str, shown: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (said,), None)
    assert MaskingFormatter(journal=True).format(record) == f"<6>{shown}"
    assert MaskingFormatter(journal=False).format(record) == shown


def test_a_text_of_others_in_an_error_does_not_pass_for_records() -> None:
    record = logging.LogRecord(
        "x", logging.ERROR, "f", 1, "failed:\n%s", ("<0>kernel: panic\nweb  | all is well",), None
    )
    assert MaskingFormatter(journal=True).format(record) == "<3>failed:\n<3>  <0>kernel: panic\n<3>  web  | all is well"


def test_a_long_line_fits_into_a_record_of_the_journal() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", ("\U000e0001" * 100_000,), None)
    text = MaskingFormatter(journal=True).format(record)
    assert len(text.encode()) < 48 * 1024
    assert text.endswith(" … (95904 more characters)")


def test_the_journal_is_known_by_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "stream").open("w") as stream:
        state = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{state.st_dev}:{state.st_ino}")
        assert is_journal(stream.fileno())
        # A shell inside a unit passes the variable on, but its terminal is a different stream.
        monkeypatch.setenv("JOURNAL_STREAM", f"{state.st_dev}:{state.st_ino + 1}")
        assert not is_journal(stream.fileno())
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not is_journal(stream.fileno())


def test_only_what_the_journal_keeps_is_led_by_a_priority(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that a desktop session starts inherits the variable, including its terminals."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    set_up_logging()
    logging.getLogger("ecs_appliance.x").warning("calm")
    assert capfd.readouterr().err == "calm\n"
    state = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{state.st_dev}:{state.st_ino}")
    set_up_logging()
    logging.getLogger("ecs_appliance.x").warning("calm")
    assert capfd.readouterr().err == "<4>calm\n"
