"""Creates the sheets as PDF: the text or the share, the codes, and instructions for getting the file back."""

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import segno
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

from ecs_appliance.paper.codes import CodeKind, Label, Part
from ecs_appliance.paper.instructions import Paragraph, instructions
from ecs_appliance.paper.split import Share
from ecs_appliance.paper.text import numbered
from ecs_appliance.paper.words import ENGLISH, GERMAN, PaperWords

WIDTH, HEIGHT = A4
MARGIN = 14 * mm
FIXED_FONT, FONT, BOLD = "Courier", "Helvetica", "Helvetica-Bold"
TEXT_SIZE, LEADING = 8.6, 10.8
LINES_PER_PAGE = 66
WRAPPED_COMMAND = 94
CODES_PER_PAGE = 4
CODE_SIZE = 95 * mm
CODES_TOP = 34 * mm
ROW = CODE_SIZE + 10 * mm
SHARE_SIZE = 75 * mm
WORDS_PER_COLUMN = 11
# Quiet zone around a QR code, in modules (ISO/IEC 18004).
QUIET = 4

# By kind of paragraph.
FONTS = {"text": (FONT, 10), "heading": (BOLD, 10), "command": (FIXED_FONT, TEXT_SIZE)}
FOOT, FOOT_SIZE, FOOT_LEADING = MARGIN * 0.6, 8.6, 4 * mm

Draw = Callable[[Canvas], None]


@dataclass(frozen=True, repr=False)
class Sheets:
    """What is printed: the codes and, for people, `text`; or a `share` if the file is split."""

    label: Label
    digest: bytes
    parts: Sequence[Part]
    text: str = ""
    share: Share | None = None


def make_pdf(sheets: Sheets) -> bytes:
    """Return `sheets` as an A4 PDF; the same input makes the same bytes."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(_subject(sheets))
    pages = list(_pages(sheets))
    for number, (draw, words) in enumerate(pages, 1):
        _draw_frame(canvas, sheets, words.page.format(number=number, total=len(pages)))
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def place(number: int) -> tuple[float, float]:
    """Return the distance of code `number` from the left and the top of its page, in points."""
    down, across = divmod((number - 1) % CODES_PER_PAGE, 2)
    return WIDTH / 2 + (across - 1) * CODE_SIZE, CODES_TOP + down * ROW


def _pages(sheets: Sheets) -> Iterator[tuple[Draw, PaperWords]]:
    """Yield a function that draws the page, and the language of its page number, for each page."""
    if sheets.share:
        yield partial(_draw_share, share=sheets.share), ENGLISH
    lines = list(numbered(sheets.text)) if sheets.text else []
    for start in range(0, len(lines), LINES_PER_PAGE):
        yield partial(_draw_text, lines=lines[start : start + LINES_PER_PAGE]), ENGLISH
    for start in range(0, len(sheets.parts), CODES_PER_PAGE):
        parts = sheets.parts[start : start + CODES_PER_PAGE]
        yield partial(_draw_codes, parts=parts, digest=sheets.digest), ENGLISH
    scheme = sheets.share.scheme if sheets.share else None
    # Finders read German; the English page stays last, as on older paper.
    for words in (GERMAN, ENGLISH):
        paragraphs = instructions(words, sheets.digest, len(sheets.parts), scheme)
        yield partial(_draw_instructions, words=words, paragraphs=list(paragraphs)), words


def _subject(sheets: Sheets) -> str:
    share = sheets.share
    of_share = f" · share {share.number} of {share.scheme.total}" if share else ""
    return f"{sheets.label.name} · env.yml of {sheets.label.modified:%Y-%m-%d %H:%M} UTC{of_share}"


def _draw_frame(canvas: Canvas, sheets: Sheets, page: str) -> None:
    canvas.setFont(BOLD, 11)
    canvas.drawString(MARGIN, HEIGHT - MARGIN, _subject(sheets))
    canvas.setFont(FONT, 9)
    canvas.drawRightString(WIDTH - MARGIN, HEIGHT - MARGIN, page)
    canvas.setFont(FONT, FOOT_SIZE)
    for up, words in enumerate((GERMAN, ENGLISH)):
        canvas.drawString(MARGIN, FOOT + up * FOOT_LEADING, _warning(words, sheets.share))


def _warning(words: PaperWords, share: Share | None) -> str:
    if share is None:
        return words.warning
    return words.warning_of_shares.format(needed=share.scheme.needed, total=share.scheme.total)


def _draw_text(canvas: Canvas, lines: Sequence[str]) -> None:
    body = canvas.beginText(MARGIN, HEIGHT - MARGIN - 9 * mm)
    body.setFont(FIXED_FONT, TEXT_SIZE, LEADING)
    for line in lines:
        body.textLine(line)
    canvas.drawText(body)


def _draw_codes(canvas: Canvas, parts: Sequence[Part], digest: bytes) -> None:
    canvas.setFont(FIXED_FONT, 9)
    what = "encrypted file" if parts[0].kind is CodeKind.SPLIT else "file"
    canvas.drawString(MARGIN, HEIGHT - MARGIN - 7 * mm, f"SHA-256 of the {what}: {digest.hex()}")
    for part in parts:
        left, down = place(part.number)
        top = HEIGHT - down
        canvas.setFont(BOLD, 11)
        canvas.drawCentredString(left + CODE_SIZE / 2, top, f"{part.number}/{part.total}")
        _draw_code(canvas, part.text, left, top - CODE_SIZE, CODE_SIZE)


def _draw_code(canvas: Canvas, text: str, left: float, bottom: float, size: float) -> None:
    """Draw a QR code with error correction level M (15 %) as vector shapes, sharp at any resolution."""
    # No mask has to be chosen, as base32 of compressed data already looks like noise.
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
    for down, words in ((32 * mm, ENGLISH), (66 * mm, GERMAN)):
        _draw_share_words(canvas, share, words, down)
    canvas.setFont(FIXED_FONT, 12)
    for index, word in enumerate(share.words.split()):
        across, down = divmod(index, WORDS_PER_COLUMN)
        canvas.drawString(MARGIN + across * 58 * mm, HEIGHT - (100 + 7 * down) * mm, f"{index + 1:2}  {word}")
    _draw_code(canvas, share.text, MARGIN, HEIGHT - 182 * mm - SHARE_SIZE, SHARE_SIZE)


def _draw_share_words(canvas: Canvas, share: Share, words: PaperWords, down: float) -> None:
    """Draw the description of the share: a headline `down` points from the top, and three lines."""
    scheme = share.scheme
    canvas.setFont(BOLD, 20)
    canvas.drawString(MARGIN, HEIGHT - down, words.share.format(number=share.number, total=scheme.total))
    canvas.setFont(FONT, 11)
    for number, line in enumerate(words.of_shares):
        text = line.format(needed=scheme.needed, digest=share.digest)
        canvas.drawString(MARGIN, HEIGHT - down - (8 + 6 * number) * mm, text)


def _draw_instructions(canvas: Canvas, words: PaperWords, paragraphs: Sequence[Paragraph]) -> None:
    canvas.setFont(BOLD, 16)
    canvas.drawString(MARGIN, HEIGHT - 28 * mm, words.title)
    canvas.setFont(FONT, 10)
    canvas.drawRightString(WIDTH - MARGIN, HEIGHT - 28 * mm, words.other_language)
    body = canvas.beginText(MARGIN, HEIGHT - 38 * mm)
    for paragraph in paragraphs:
        font, size = FONTS[paragraph.kind]
        if paragraph.kind == "heading":
            body.moveCursor(0, 4)
        body.setFont(font, size, 12.5)
        for line in _wrapped(paragraph, font, size):
            body.textLine(line)
        body.moveCursor(0, 1 if paragraph.kind == "heading" else 5)
    canvas.drawText(body)


def _wrapped(paragraph: Paragraph, font: str, size: float) -> list[str]:
    """Return the lines of `paragraph`; those of a command, except the last, end in a backslash."""
    if paragraph.kind != "command":
        return list(simpleSplit(paragraph.text, font, size, WIDTH - 2 * MARGIN))
    lines = textwrap.wrap(paragraph.text, WRAPPED_COMMAND, initial_indent="   ", subsequent_indent="   ")
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
