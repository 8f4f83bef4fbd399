"""Text of others, as it may be shown to an operator."""

import re
from collections.abc import Sequence

# In characters. Escaped, each may become ten bytes: the journal makes two records of a line above 48 KiB, and the
# second would look like one of ours.
LONGEST_LINE = 4096
# In characters.
LONGEST_SUMMARY = 400
# The message of a failed process, which does not give the reason.
PROCESS_FAILED = re.compile(r"(^|: )[^:]* (failed with exit code \d+|was ended by SIG\w+):$")
REASON = re.compile(
    r"\b(?:[a-z]*error|fatal|failed|fails|exception|denied|refused|cannot|can't|unable|no space)\b", re.I
)
# Lines that only say that something else failed.
ECHO = re.compile(
    r"returned an error code|^error: (?:failed to (?:solve|build)|process )|^make.*Error \d|^ *-{3,}|^\W*$", re.I
)


def printable(text: str) -> str:
    """`text` with what would steer a terminal, or hide, as escapes: control characters, marks of direction, …"""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown_line(line: str) -> str:
    """A line of others as a log shows it: one line, printable but for tabs, and short enough for a record."""
    more = len(line) - LONGEST_LINE
    shown = "\t".join(printable(part) for part in line[:LONGEST_LINE].split("\t"))
    return f"{shown} … ({more} more characters)" if more > 0 else shown


def summarize(message: str) -> str:
    """Return one line of `message`, an error's: what failed and, where the output of a process follows, why."""
    first, *rest = message.strip().splitlines() or [""]
    reason = telling_line(rest) if first.endswith(":") else ""
    if not reason:
        return first[:LONGEST_SUMMARY]
    what = PROCESS_FAILED.sub("", first).removesuffix(":")
    return f"{what}: {reason}"[:LONGEST_SUMMARY] if what else reason[:LONGEST_SUMMARY]


def telling_line(lines: Sequence[str]) -> str:
    """Return the line of a process's output that says why it failed: the last that names an error, else the last."""
    said = [line.strip() for line in lines if line.strip() and not ECHO.search(line)]
    reasons = [line for line in said if REASON.search(line)]
    return next(reversed(reasons or said), "")
