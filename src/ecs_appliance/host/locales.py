"""Select the C library locales that the appliance needs, in addition to those that the machine already has."""

import re
from collections.abc import Iterable

from ecs_appliance.core.files import read_optional, write_changed
from ecs_appliance.core.paths import Paths

GENERATED = "/etc/locale.gen"
# From the package locales: each name with its encoding, in the format of locale.gen.
SUPPORTED = "/usr/share/i18n/SUPPORTED"
# Where Debian stores the locale of logins and services.
DEFAULTS = ("/etc/default/locale", "/etc/locale.conf")
ASSIGNMENT = re.compile(r"""^\s*(?:export\s+)?(?:LANG|LC_[A-Z]+)=["']?([A-Za-z0-9_.@-]+)["']?\s*$""", re.MULTILINE)


def missing_lines(wanted: Iterable[str], supported: str, generated: str) -> list[str]:
    """Return the lines that the locale.gen `generated` lacks for the locales `wanted`, in that order.

    `supported` is the C library's own list of lines. A name it does not have, such as C.UTF-8, needs no line.
    """
    present = {_key(line) for line in generated.splitlines() if not line.lstrip().startswith("#")}
    lines = {_key(line): " ".join(line.split()) for line in supported.splitlines() if line.strip()}
    keys = dict.fromkeys(_key(name) for name in wanted)
    return [lines[key] for key in keys if key in lines and key not in present]


def default_locales(text: str) -> list[str]:
    """Return the locales named in `text`, assignments as in /etc/default/locale."""
    return ASSIGNMENT.findall(text)


def plan_locales(paths: Paths, needed: Iterable[str]) -> list[str]:
    """Return the lines to add to locale.gen for the locales `needed` and those that the machine is configured for."""
    defaults = [name for file in DEFAULTS for name in default_locales(_text(paths, file))]
    return missing_lines([*needed, *defaults], _text(paths, SUPPORTED), _text(paths, GENERATED))


def add_lines(paths: Paths, lines: Iterable[str]) -> None:
    """Add `lines` to locale.gen, keeping its contents."""
    text = _text(paths, GENERATED)
    separator = "" if not text or text.endswith("\n") else "\n"
    write_changed(paths.at(GENERATED), text + separator + "".join(f"{line}\n" for line in lines), mode=0o644)


def _text(paths: Paths, file: str) -> str:
    return read_optional(paths.at(file)) or ""


def _key(line: str) -> str:
    """Return the name in `line`, normalized as the C library compares names: `de_AT.utf8` equals `de_AT.UTF-8`."""
    name = (line.split() or [""])[0]
    language, dot, rest = name.partition(".")
    encoding, at, modifier = rest.partition("@")
    return language + dot + re.sub(r"[^a-z0-9]", "", encoding.lower()) + at + modifier
