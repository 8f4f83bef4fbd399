"""Measure how well damaged sheets are read, compared with zbarimg on the same pictures.

Run it from the checkout: ./.venv-dev/bin/python -m benchmarks.robustness
A sheet is an A4 page with four codes of a new env.yml; it counts as read if all four are. Goals at 300 dpi: 100 %
with any one of DISTORTIONS, 95 % with three at once. It takes about ten minutes and prints Markdown.
"""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from PIL import Image

from benchmarks.distortions import DISTORTIONS, HARDER, Sheet, distorted, sheets
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.create import render
from ecs_appliance.offline_copy.package import make_papers
from ecs_appliance.paper.codes import Label
from ecs_appliance.paper.scan_reader import ATTEMPTS, read_codes
from ecs_appliance.paper.sheet_layout import CODES_PER_PAGE

FILES = 5
# Per sheet; there are ten.
SINGLES, TRIPLES = 4, 20
RESOLUTIONS = (300, 150)
# The harder ones are not scaled down: a photo has the resolution it has.
HARDER_RESOLUTION = 300
THREE = "any three at once"
LABEL = Label("ecs.example.org", datetime(2026, 1, 1, tzinfo=UTC))
ZBARIMG = ("zbarimg", "--quiet", "--nodbus", "--raw", "-Sdisable", "-Sqrcode.enable")
NOTHING_FOUND = 4


@dataclass(frozen=True)
class Outcome:
    """How a sheet with `damage` was read: by which of ATTEMPTS, None if by none, and whether by zbarimg."""

    damage: str
    dpi: int
    attempt: int | None
    by_zbarimg: bool


def main() -> None:
    pdfs = [make_pdf() for _ in range(FILES)]
    with ProcessPoolExecutor() as pool:
        jobs = itertools.product(enumerate(pdfs), RESOLUTIONS)
        outcomes = [outcome for some in pool.map(damage_and_read, jobs) for outcome in some]
    show_shares(outcomes)
    show_attempts(outcomes)


def make_pdf() -> bytes:
    """Return the paper of a new env.yml."""
    data = render(LABEL.name, runner=SystemRunner()).encode()
    (pdf,) = make_papers(data, LABEL, "env.yml").values()
    return pdf


def damage_and_read(job: tuple[tuple[int, bytes], int]) -> list[Outcome]:
    """Return the outcomes of all full sheets of a numbered paper at a resolution, with every damage."""
    (paper, pdf), dpi = job
    full = [sheet for sheet in sheets(pdf, dpi) if len(sheet.codes) == CODES_PER_PAGE]
    with tempfile.TemporaryDirectory() as folder:
        return [
            Outcome(damage, dpi, read(picture, sheet), is_read_by_zbarimg(picture, sheet, Path(folder)))
            for number, sheet in enumerate(full)
            for damage, picture in pictures(sheet, f"{paper} {number}")
        ]


def pictures(sheet: Sheet, name: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield each damage and the damaged picture of `sheet`; the same ones for the same `name`."""
    alone = [*DISTORTIONS, *(HARDER if sheet.dpi == HARDER_RESOLUTION else ())]
    for damage, turn in itertools.product(alone, range(SINGLES)):
        yield damage, distorted(sheet, [damage], Random(f"{damage} {name} {turn}"))
    for turn in range(TRIPLES):
        random = Random(f"{THREE} {name} {turn}")
        names = random.choice(list(itertools.combinations(DISTORTIONS, 3)))
        yield THREE, distorted(sheet, names, random)


def read(picture: Image.Image, sheet: Sheet) -> int | None:
    """Return which of ATTEMPTS completes the codes of `sheet`, tried as in `appliance env scan`; None if none does."""
    found: set[str] = set()
    for number, attempt in enumerate(ATTEMPTS):
        found.update(read_codes(attempt.prepare(picture)))
        if found >= sheet.codes.keys():
            return number
    return None


def is_read_by_zbarimg(picture: Image.Image, sheet: Sheet, folder: Path) -> bool:
    """Return whether zbarimg alone finds all codes of `sheet`; the picture is saved in `folder`."""
    file = folder / "picture.pgm"
    picture.save(file)
    lines = SystemRunner().run([*ZBARIMG, file], timeout=60, ok=(0, NOTHING_FOUND)).lines()
    return set(lines) >= sheet.codes.keys()


def show_shares(outcomes: Sequence[Outcome]) -> None:
    """Print the share of sheets that were read, by damage."""
    header = [f"{dpi} dpi | zbarimg, {dpi} dpi" for dpi in RESOLUTIONS]
    print(f"| damage | sheets | {' | '.join(header)} |")
    print(f"| --- |{' --- |' * (1 + 2 * len(RESOLUTIONS))}")
    for damage in [*DISTORTIONS, THREE, *HARDER]:
        cells = [""]
        for dpi in RESOLUTIONS:
            some = [outcome for outcome in outcomes if (outcome.damage, outcome.dpi) == (damage, dpi)]
            cells[0] = cells[0] or str(len(some))
            cells.append(share([outcome.attempt is not None for outcome in some]))
            cells.append(share([outcome.by_zbarimg for outcome in some]))
        print(f"| {damage} | {' | '.join(cells)} |")


def show_attempts(outcomes: Sequence[Outcome]) -> None:
    """Print how many sheets each attempt reads that the ones before it did not."""
    print(f"\n| attempt | {' | '.join(f'{dpi} dpi' for dpi in RESOLUTIONS)} |\n| --- |{' --- |' * len(RESOLUTIONS)}")
    for number, attempt in enumerate(ATTEMPTS):
        counts = [sum((outcome.dpi, outcome.attempt) == (dpi, number) for outcome in outcomes) for dpi in RESOLUTIONS]
        print(f"| {attempt.why} | {' | '.join(map(str, counts))} |")


def share(successes: Sequence[bool]) -> str:
    """Return the share of successes in percent; a dash if there are no values."""
    return f"{100 * sum(successes) / len(successes):.3g} %" if successes else "–"


if __name__ == "__main__":
    main()
