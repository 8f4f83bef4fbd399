"""Sets values in a YAML text and leaves everything else alone: comments, order, quotes and spaces."""

import json
import re
from collections.abc import Mapping as AnyMapping
from typing import Any

from pydantic import SecretStr

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.env.tree import Mapping, Node, Scalar, TreeError, is_plain_text, parse, typed

STEP = "  "
PLAIN = re.compile(r"[A-Za-z0-9/_](?:(?:[A-Za-z0-9 ./_@+=~%-]|:(?=[^ ]))*[A-Za-z0-9./_@+=~%-])?")


def set_values(text: str, values: AnyMapping[str, object]) -> str:
    """Return `text` with each dotted key of `values` set: to text, bool, number, None, list, mapping or SecretStr.

    New keys are added at the end of their mapping. Raise TreeError if `text` is not a YAML mapping, ApplianceError if
    the parent of a key is not a mapping or the text cannot be edited safely.
    """
    wanted = typed(parse(text))
    try:
        for path, value in values.items():
            plain = _revealed(value)
            text = _set(text, path, plain)
            _assign(wanted, path.split("."), plain)
    except TreeError:
        wanted = None
    if not _says(text, wanted):
        raise ApplianceError("this YAML is written in a way that cannot be edited safely", "edit it by hand")
    return text


def replace_within(text: str, path: str, place: slice, new: str) -> str:
    """Replace `place` (in characters, within one line) of the value at the dotted `path` in `text` with `new`.

    The rest of a `|` block is left as it is; a quoted or folded value is rewritten as a whole. Raise as `set_values`
    does, and ApplianceError if there is no scalar at `path`.
    """
    node = scalar_at(parse(text), path)
    if node is None:
        raise ApplianceError(f"the value of {path} is not text")
    value = node.text[: place.start] + new + node.text[place.stop :]
    if node.literal:
        start = _in_file(text, node, place.start)
        edited = text[:start] + new + text[start + place.stop - place.start :]
        wanted = typed(parse(text))
        _assign(wanted, path.split("."), value)
        if _says(edited, wanted):
            return edited
    return set_values(text, {path: value})


def scalar_at(tree: Mapping, path: str) -> Scalar | None:
    """Return the scalar at the dotted `path` of `tree`; None if it is missing, a list or a mapping."""
    node: Node | None = tree
    for part in path.split("."):
        node = node.entries.get(part) if isinstance(node, Mapping) else None
    return node if isinstance(node, Scalar) else None


def _in_file(text: str, node: Scalar, place: int) -> int:
    """Return the offset in `text` of the character `place` of the `|` block `node`."""
    number = node.text.count("\n", 0, place)
    line, lines = node.text.split("\n")[number], text.split("\n")
    row = min(node.mark.line + number, len(lines) - 1)
    indent = len(lines[row]) - len(line)
    return sum(len(above) + 1 for above in lines[:row]) + indent + place - (node.text.rfind("\n", 0, place) + 1)


def _says(text: str, wanted: object) -> bool:
    try:
        return bool(typed(parse(text)) == wanted)
    except TreeError:
        return False


def dotted(values: AnyMapping[str, object], path: str = "") -> dict[str, object]:
    """Flatten nested mappings to dotted keys; lists and empty mappings are values."""
    result: dict[str, object] = {}
    for key, value in values.items():
        below = f"{path}.{key}" if path else key
        if isinstance(value, AnyMapping) and value:
            result |= dotted(value, below)
        else:
            result[below] = value
    return result


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, AnyMapping):
        return {str(key): _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list | tuple) else value


def _assign(data: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        if data.get(part) is None:
            data[part] = {}
        data = data[part]
    data[parts[-1]] = value


def _set(text: str, path: str, value: Any) -> str:
    parent = parse(text)
    parts = path.split(".")
    for depth, part in enumerate(parts):
        node = parent.entries.get(part)
        rest = parts[depth + 1 :]
        if node is None:
            return _inserted(text, parent, part, _nested(rest, value))
        if not rest or (isinstance(node, Scalar) and node.kind == "null"):
            return _replaced(text, parent, part, _nested(rest, value))
        if isinstance(node, Mapping) and (node.flow or not node.entries) and not _fits_flow(node, rest, value):
            changed = typed(node)
            _assign(changed, rest, value)
            return _replaced(text, parent, part, changed)
        if not isinstance(node, Mapping):
            raise ApplianceError(f"{path} cannot be set: {'.'.join(parts[: depth + 1])} is not a mapping")
        parent = node
    raise AssertionError("a path has at least one part")


def _fits_flow(node: Mapping, rest: list[str], value: Any) -> bool:
    """Return whether `value` can replace the one at `rest` within braces; else the mapping is rewritten as lines."""
    old = scalar_at(node, ".".join(rest))
    return old is not None and old.mark.start < old.mark.end and not isinstance(value, list | dict)


def _nested(parts: list[str], value: Any) -> Any:
    for part in reversed(parts):
        value = {part: value}
    return value


def _replaced(text: str, parent: Mapping, key: str, value: Any) -> str:
    """Return `text` with the value of `key` replaced; a comment after it, or after the `|` of a block, is kept."""
    place, old = parent.keys[key], parent.entries[key].mark
    if parent.flow:
        return text[: old.start] + _scalar(value) + text[old.end :]
    colon = text.index(":", place.end) + 1
    line_end = _line_end(text, old.end)
    comment = text[old.end : line_end]
    header = re.match(r"[|>][-+0-9]*([ \t]+#.*)", text[old.start : old.end])
    if header:
        comment = header[1]
    first, lines = _rendered(value, STEP * (place.column // len(STEP) + 1))
    return text[:colon] + (f" {first}" if first else "") + comment + lines + text[line_end:]


def _inserted(text: str, parent: Mapping, key: str, value: Any) -> str:
    column = next(iter(parent.keys.values())).column - 1 if parent.keys else 0
    first, lines = _rendered(value, " " * column + STEP)
    end = _line_end(text, parent.mark.end)
    line = f"{' ' * column}{_key(key)}:" + (f" {first}" if first else "") + lines
    return f"{text[:end]}\n{line}{text[end:]}"


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _rendered(value: Any, indent: str) -> tuple[str, str]:
    """Return what follows on the line of the key, and the lines below it, each preceded by a line feed."""
    if isinstance(value, dict) and value:
        pairs = ((_key(key), _rendered(item, indent + STEP)) for key, item in value.items())
        return "", "".join(f"\n{indent}{key}:{' ' if first else ''}{first}{lines}" for key, (first, lines) in pairs)
    if isinstance(value, list) and value:
        return "", "".join(f"\n{indent}- {_item(item, indent + STEP)}" for item in value)
    if isinstance(value, str) and "\n" in value and _fits_block(value):
        body = value.removesuffix("\n")
        chomp = "" if body != value else "-"
        lines = "".join(f"\n{indent}{line}" if line else "\n" for line in body.split("\n"))
        return f"|{chomp}", lines
    return _scalar(value), ""


def _item(value: Any, indent: str) -> str:
    first, lines = _rendered(value, indent)
    return first + lines if first else lines.removeprefix(f"\n{indent}")


def _fits_block(text: str) -> bool:
    """Return whether `text` fits a `|` block: printable, first line not indented, at most one line feed at the end."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    printable = all(char.isprintable() or char in "\n\t" for char in text)
    return printable and bool(body.strip()) and lines[0][:1] not in ("", " ", "\t") and bool(lines[-1].strip())


def _key(key: str) -> str:
    return key if PLAIN.fullmatch(key) and is_plain_text(key) else json.dumps(key)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and is_plain_text(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | dict):
        return "[]" if isinstance(value, list) else "{}"
    raise TypeError(f"{type(value).__name__} cannot be written to an env.yml")
