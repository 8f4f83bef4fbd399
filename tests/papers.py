"""Files to print, their codes and their sheets."""

import base64
import hashlib
from datetime import UTC, datetime
from random import Random

from ecs_appliance.offline_copy.package import make_papers
from ecs_appliance.paper.codes import CodeKind, Label, Part, pack, parts
from ecs_appliance.paper.split import Scheme

LABEL = Label("ecs.example.org", datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
OTHER_LABEL = Label("other.example.org", datetime(2025, 7, 2, 8, 15, tzinfo=UTC))


def noise(size: int, seed: int = 0) -> bytes:
    """Return `size` incompressible bytes, the same every time."""
    return Random(seed).randbytes(size)


def codes_of(data: bytes, label: Label = LABEL) -> list[Part]:
    """Return the codes of `data` as they are printed."""
    return parts(pack(data, label), hashlib.sha256(data).digest(), CodeKind.PLAIN)


def old_codes_of(packed: bytes, characters: int = 2100) -> list[str]:
    """Split the gzip data `packed` into the texts of the predecessor's codes."""
    text = base64.b32encode(packed).decode()
    return [
        f"{number:02} {text[start : start + characters]}"
        for number, start in enumerate(range(0, len(text), characters))
    ]


def make_paper(data: bytes, label: Label = LABEL) -> bytes:
    """Return the PDF of `data`."""
    (pdf,) = make_papers(data, label, "env.yml").values()
    return pdf


def make_shared_papers(data: bytes, scheme: Scheme, label: Label = LABEL) -> dict[str, bytes]:
    """Return the PDF of each share of `data`, by name."""
    return make_papers(data, label, "env.yml", scheme)
