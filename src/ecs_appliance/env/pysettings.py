"""The application's settings: Python text that is checked, never run."""

import ast
import re
import warnings

# The application has publicly known values for these, so a file that leaves one out would run on those.
NEEDED = ("SECRET_KEY", "REGISTRATION_SECRET", "PASSWORD_RESET_SECRET")


class SettingsError(ValueError):
    """`line` and `column` are places in the text, from 1; 0 where the text as a whole is meant."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def settings(text: str) -> str:
    """`text` where it compiles as Python. Raises SettingsError; its message shows nothing of the text."""
    if text.strip():
        _compile(text)
    return text


def missing(text: str) -> list[str]:
    """Those of NEEDED that `text`, which compiles, does not set."""
    nodes = list(ast.walk(ast.parse(text)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return [name for name in NEEDED if name not in stored]


def _compile(text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "settings", "exec", dont_inherit=True)
    except SyntaxError as error:
        meaning = re.sub(r"'[^']{4,}'|\"[^\"]{4,}\"", "…", error.msg)
        raise SettingsError(f"is not valid Python: {meaning}", error.lineno or 0, error.offset or 0) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise SettingsError("is not valid Python") from None
