"""Text of others, as it may be shown to an operator."""

# In characters. Escaped, each may become ten bytes: the journal makes two records of a line above 48 KiB, and the
# second would look like one of ours.
LONGEST_LINE = 4096


def printable(text: str) -> str:
    """`text` with what would steer a terminal, or hide, as escapes: control characters, marks of direction, …"""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown_line(line: str) -> str:
    """A line of others as a log shows it: one line, printable but for tabs, and short enough for a record."""
    more = len(line) - LONGEST_LINE
    shown = "\t".join(printable(part) for part in line[:LONGEST_LINE].split("\t"))
    return f"{shown} … ({more} more characters)" if more > 0 else shown
