"""Makes untrusted text safe to show to an operator, and summarizes error messages."""

import re
from collections.abc import Sequence

# In characters, each of which may become ten bytes when escaped. The journal splits a line above 48 KiB into two
# records, and the second would look like one of our own.
LONGEST_LINE = 4096
# In characters.
LONGEST_SUMMARY = 400
# The message of CommandError, which does not give the reason.
PROCESS_FAILED = re.compile(r"(^|: )[^:]* (failed with exit code \d+|was ended by SIG\w+):$")
REASON = re.compile(
    r"\b(?:[a-z]*error|fatal|failed|fails|exception|denied|refused|cannot|can't|unable|no space)\b", re.I
)
# Lines that only say that something else failed.
ECHO = re.compile(
    r"returned an error code|^error: (?:failed to (?:solve|build)|process )|^make.*Error \d|^ *-{3,}|^\W*$", re.I
)


def printable(text: str) -> str:
    """Return `text` with non-printable characters escaped: control characters, direction marks, …"""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown_line(line: str) -> str:
    """Return an untrusted line for a log: printable except for tabs, and cut off at LONGEST_LINE characters."""
    more = len(line) - LONGEST_LINE
    shown = "\t".join(printable(part) for part in line[:LONGEST_LINE].split("\t"))
    return f"{shown} … ({more} more characters)" if more > 0 else shown


def summarize(message: str) -> str:
    """Return the error `message` as one line: what failed and, if the output of a process follows, why."""
    first, *rest = message.strip().splitlines() or [""]
    reason = telling_line(rest) if first.endswith(":") else ""
    if not reason:
        return first[:LONGEST_SUMMARY]
    what = PROCESS_FAILED.sub("", first).removesuffix(":")
    return f"{what}: {reason}"[:LONGEST_SUMMARY] if what else reason[:LONGEST_SUMMARY]


def telling_line(lines: Sequence[str]) -> str:
    """Return the output line that most likely says why a process failed: the last with an error, else the last."""
    said = [line.strip() for line in lines if line.strip() and not ECHO.search(line)]
    reasons = [line for line in said if REASON.search(line)]
    return next(reversed(reasons or said), "")
