"""The sheets of paper as PDF: the text, or the share; the codes; and how to get the file back."""

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from ecs_appliance.paper.codes import Kind, Label, Part
from ecs_appliance.paper.instructions import instructions
from ecs_appliance.paper.split import Scheme, Share
from ecs_appliance.paper.text import numbered

WIDTH, HEIGHT = A4
MARGIN = 14 * mm
FIXED_FONT, FONT, BOLD = "Courier", "Helvetica", "Helvetica-Bold"
TEXT_SIZE, LEADING = 8.6, 10.8
LINES_PER_PAGE = 66
WRAPPED_TEXT, WRAPPED_COMMAND = 100, 94
CODES_PER_PAGE = 4
CODE_SIZE = 95 * mm
CODES_TOP = 34 * mm
ROW = CODE_SIZE + 10 * mm
SHARE_SIZE = 75 * mm
WORDS_PER_COLUMN = 11
# The white around a QR code that readers rely on, in modules (ISO/IEC 18004).
QUIET = 4

Draw = Callable[[Canvas], None]


@dataclass(frozen=True, repr=False)
class Sheets:
    """What is to be printed: `text` where people may read it, `share` where the file is split."""

    label: Label
    digest: bytes
    parts: Sequence[Part]
    text: str = ""
    share: Share | None = None


def make_pdf(sheets: Sheets) -> bytes:
    """The PDF of `sheets`, A4; for the same input the same."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(_subject(sheets))
    pages = list(_pages(sheets))
    for number, draw in enumerate(pages, 1):
        _draw_frame(canvas, sheets, f"page {number} of {len(pages)}")
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def place(number: int) -> tuple[float, float]:
    """How far from the left and from the top of its page code `number` is, in points."""
    down, across = divmod((number - 1) % CODES_PER_PAGE, 2)
    return WIDTH / 2 + (across - 1) * CODE_SIZE, CODES_TOP + down * ROW


def _pages(sheets: Sheets) -> Iterator[Draw]:
    if sheets.share:
        yield partial(_draw_share, share=sheets.share)
    lines = list(numbered(sheets.text)) if sheets.text else []
    for start in range(0, len(lines), LINES_PER_PAGE):
        yield partial(_draw_text, lines=lines[start : start + LINES_PER_PAGE])
    for start in range(0, len(sheets.parts), CODES_PER_PAGE):
        yield partial(_draw_codes, parts=sheets.parts[start : start + CODES_PER_PAGE], digest=sheets.digest)
    scheme = sheets.share.scheme if sheets.share else None
    yield partial(_draw_instructions, digest=sheets.digest, total=len(sheets.parts), scheme=scheme)


def _subject(sheets: Sheets) -> str:
    share = sheets.share
    of_share = f" · share {share.number} of {share.scheme.total}" if share else ""
    return f"{sheets.label.name} · env.yml of {sheets.label.modified:%Y-%m-%d %H:%M} UTC{of_share}"


def _draw_frame(canvas: Canvas, sheets: Sheets, page: str) -> None:
    canvas.setFont(BOLD, 11)
    canvas.drawString(MARGIN, HEIGHT - MARGIN, _subject(sheets))
    canvas.setFont(FONT, 9)
    canvas.drawRightString(WIDTH - MARGIN, HEIGHT - MARGIN, page)
    canvas.drawString(MARGIN, MARGIN * 0.6, f"Secret: {_warning(sheets.share)} Keep it locked away.")


def _warning(share: Share | None) -> str:
    if share is None:
        return "whoever has this paper has the keys of the site."
    return f"whoever has {share.scheme.needed} of the {share.scheme.total} shares has the keys of the site."


def _draw_text(canvas: Canvas, lines: Sequence[str]) -> None:
    body = canvas.beginText(MARGIN, HEIGHT - MARGIN - 9 * mm)
    body.setFont(FIXED_FONT, TEXT_SIZE, LEADING)
    for line in lines:
        body.textLine(line)
    canvas.drawText(body)


def _draw_codes(canvas: Canvas, parts: Sequence[Part], digest: bytes) -> None:
    canvas.setFont(FIXED_FONT, 9)
    what = "encrypted file" if parts[0].kind is Kind.SPLIT else "file"
    canvas.drawString(MARGIN, HEIGHT - MARGIN - 7 * mm, f"SHA-256 of the {what}: {digest.hex()}")
    for part in parts:
        left, down = place(part.number)
        top = HEIGHT - down
        canvas.setFont(BOLD, 11)
        canvas.drawCentredString(left + CODE_SIZE / 2, top, f"{part.number}/{part.total}")
        _draw_code(canvas, part.text, left, top - CODE_SIZE, CODE_SIZE)


def _draw_code(canvas: Canvas, text: str, left: float, bottom: float, size: float) -> None:
    """A QR code of error correction level M, which stands 15 % of damage, as shapes: sharp at any resolution."""
    # One mask does: base32 of packed data looks like noise already.
    code = segno.make(text, error="m", mode="alphanumeric", mask=0, boost_error=False, micro=False)
    rows = code.matrix
    module = size / (len(rows) + 2 * QUIET)
    path = canvas.beginPath()
    for number, row in enumerate(rows):
        column = QUIET
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                path.rect(
                    left + column * module, bottom + size - (QUIET + number + 1) * module, length * module, module
                )
            column += length
    canvas.drawPath(path, stroke=0, fill=1)


def _draw_share(canvas: Canvas, share: Share) -> None:
    scheme = share.scheme
    canvas.setFont(BOLD, 20)
    canvas.drawString(MARGIN, HEIGHT - 34 * mm, f"Share {share.number} of {scheme.total}")
    canvas.setFont(FONT, 12)
    for down, line in enumerate(
        (
            f"Any {scheme.needed} shares recover the file; fewer tell nothing of what is in it.",
            "Keep each in another place, with another person.",
            f"All shares of one set bear this number: {share.digest}",
        )
    ):
        canvas.drawString(MARGIN, HEIGHT - (42 + 6 * down) * mm, line)
    canvas.setFont(FIXED_FONT, 12)
    for index, word in enumerate(share.words.split()):
        across, down = divmod(index, WORDS_PER_COLUMN)
        canvas.drawString(MARGIN + across * 58 * mm, HEIGHT - (68 + 7 * down) * mm, f"{index + 1:2}  {word}")
    _draw_code(canvas, share.text, MARGIN, HEIGHT - 150 * mm - SHARE_SIZE, SHARE_SIZE)


def _draw_instructions(canvas: Canvas, digest: bytes, total: int, scheme: Scheme | None) -> None:
    canvas.setFont(BOLD, 16)
    canvas.drawString(MARGIN, HEIGHT - 32 * mm, "How to get this file back")
    body = canvas.beginText(MARGIN, HEIGHT - 42 * mm)
    for paragraph in instructions(digest, total, scheme):
        body.setFont(FIXED_FONT if paragraph.is_command else FONT, TEXT_SIZE if paragraph.is_command else 10, 13)
        lines = textwrap.wrap(paragraph.text, WRAPPED_TEXT)
        if paragraph.is_command:
            lines = textwrap.wrap(paragraph.text, WRAPPED_COMMAND, initial_indent="   ", subsequent_indent="   ")
            lines = [line if line is lines[-1] else f"{line} \\" for line in lines]
        for line in lines:
            body.textLine(line)
        body.moveCursor(0, 7)
    canvas.drawText(body)
