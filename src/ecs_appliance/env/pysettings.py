"""Checks the application's settings, which are Python code, without running them."""

import ast
import re
import warnings
from dataclasses import dataclass
from urllib.parse import urlsplit

# The application's defaults for these are public, so leaving one out would be insecure.
NEEDED = ("SECRET_KEY", "REGISTRATION_SECRET", "PASSWORD_RESET_SECRET")
STRING = re.compile(r"""[rRuU]?('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")""")


class SettingsError(ValueError):
    """`line` and `column` count from 1 in the text; 0 means the whole text."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def settings(text: str) -> str:
    """Return `text` if it compiles as Python, else raise SettingsError, whose message shows nothing of the text."""
    if text.strip():
        _compile(text)
    return text


def missing(text: str) -> list[str]:
    """Return the names in NEEDED that `text`, which must compile, does not set."""
    nodes = list(ast.walk(_parse(text)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return [name for name in NEEDED if name not in stored]


@dataclass(frozen=True)
class Known:
    """The value that a text certainly assigns to a name, and the line of the assignment."""

    value: str | bool | tuple[str, ...]
    line: int


def known(text: str, name: str) -> Known | None:
    """Return what `text`, which must compile, assigns to `name` in any case; None if that is not certain."""
    tree = _parse(text)
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return None
    return _known(tree, name, before=len(text))


def _known(tree: ast.Module, name: str, *, before: int) -> Known | None:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    stored = [node for node in nodes if not isinstance(node.ctx, ast.Load)]
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets == stored and node.lineno < before:
            value = _value(tree, node.value, node.lineno)
            # Any other use of a list may modify it.
            changed = isinstance(value, tuple) and len(nodes) > 1
            return None if value is None or changed else Known(value, node.lineno)
    return None


def _value(tree: ast.Module, node: ast.expr, line: int) -> str | bool | tuple[str, ...] | None:
    """Return the value of `node`, None if it is not certain; for a name, what was assigned to it above `line`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool)):
        return node.value
    if isinstance(node, ast.Name):
        found = _known(tree, node.id, before=line)
        return found.value if found else None
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(tree, item, line) for item in node.elts if isinstance(item, (ast.Constant, ast.Name))]
        texts = tuple(item for item in items if isinstance(item, str))
        return texts if len(texts) == len(node.elts) else None
    return None


def url_host(text: str, name: str) -> str:
    """Return the host of the URL that `text` assigns to `name` as a plain string; empty if there is none."""
    try:
        return (urlsplit(ast.literal_eval(text[string_place(text, name)])).hostname or "").lower()
    except ValueError:
        return ""


def string_place(text: str, name: str) -> slice:
    """Return where in `text`, which must compile, the string assigned to `name` is, including its quotes.

    Raise SettingsError unless there is exactly one assignment to `name`, of a string on one line.
    """
    tree = _parse(text)
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    stored = [node for node in stored if not isinstance(node.ctx, ast.Load)]
    if not stored:
        raise SettingsError(f"does not set {name}")
    if len(stored) > 1:
        raise SettingsError(f"sets {name} more than once", stored[1].lineno, stored[1].col_offset + 1)
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets == stored:
            value = node.value
            end = _offset(text, value.end_lineno or 0, value.end_col_offset or 0)
            place = slice(_offset(text, value.lineno, value.col_offset), end)
            if STRING.fullmatch(text[place]):
                return place
    raise SettingsError(f"does not set {name} as {name} = '…', on one line", stored[0].lineno, 1)


def _offset(text: str, line: int, column: int) -> int:
    """Convert a position in the parsed tree of `text`, where columns are bytes, to an offset in characters."""
    lines = text.split("\n")
    return sum(len(above) + 1 for above in lines[: line - 1]) + len(lines[line - 1].encode()[:column].decode())


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


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
