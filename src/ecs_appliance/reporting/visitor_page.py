"""Renders the page for visitors while the site is down, in two languages, without internal details."""

import time
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).with_name("status_page.html")
MINUTE = 60
# What is going on, in both languages: a headline, and what it means for visitors.
TEXTS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "installed": (
        ("This site is not in operation yet", "It is still being set up."),
        ("Diese Seite ist noch nicht in Betrieb", "Sie wird gerade eingerichtet."),
    ),
    "starting": (
        ("This site is being started", "It is starting or being updated. It appears automatically once it is ready."),
        (
            "Diese Seite wird gerade gestartet",
            "Sie wird hochgefahren oder aktualisiert. Sobald sie bereit ist, erscheint sie von selbst.",
        ),
    ),
    "standby": (
        ("This site is not in operation at the moment", "Its operator has put it on standby."),
        ("Diese Seite ist derzeit nicht in Betrieb", "Der Betreiber hat sie in den Wartungsmodus versetzt."),
    ),
    "no-database": (
        ("This site is not in operation at the moment", "It is being set up or restored."),
        ("Diese Seite ist derzeit nicht in Betrieb", "Sie wird eingerichtet oder wiederhergestellt."),
    ),
    "recovering": (
        (
            "The data of this site are being restored",
            "They are copied back from the backup. This can take several hours.",
        ),
        (
            "Die Daten dieser Seite werden wiederhergestellt",
            "Sie werden aus der Datensicherung zurückgespielt. Das kann einige Stunden dauern.",
        ),
    ),
    "failed": (
        ("This site is not available", "There is a fault. Please try again later."),
        ("Diese Seite ist nicht erreichbar", "Es liegt eine Störung vor. Bitte versuchen Sie es später noch einmal."),
    ),
    "stopped": (
        ("This site has been stopped", "Its operator has temporarily shut it down."),
        ("Diese Seite ist außer Betrieb", "Der Betreiber hat sie vorübergehend abgeschaltet."),
    ),
}


@dataclass(frozen=True)
class SiteNotice:
    """The site's name for visitors, and whom they can contact; empty if unknown."""

    name: str = ""
    contact: str = ""


def public(kind: str, *, since: int, until: int) -> dict[str, str | int]:
    """Return what is public, for programs; times are Unix seconds, 0 if unknown."""
    (english, _), (german, _) = TEXTS[kind]
    return {"kind": kind, "headline": english, "headline_de": german, "since": since, "until": until}


def render(kind: str, site: SiteNotice, *, since: int = 0, until: int = 0) -> str:
    """Return the page for `kind` with all text escaped; nginx puts the visitor's language first."""
    from jinja2 import Environment  # noqa: PLC0415 # not needed by most commands

    english, german = TEXTS[kind]
    page = Environment(autoescape=True).from_string(TEMPLATE.read_text())
    return page.render(
        kind=kind,
        site=site,
        english=english,
        german=german,
        since=time.localtime(since) if since else None,
        until=time.localtime(until + MINUTE - 1) if until else None,
        clock=time.strftime,
    )
