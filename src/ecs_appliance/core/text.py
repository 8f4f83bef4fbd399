"""Text of others, as it may be shown to an operator."""


def printable(text: str) -> str:
    """`text` with what would steer a terminal, or hide, as escapes: control characters, marks of direction, …"""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
