"""Whatever happens to the sheets, either the original file is recovered or an error is reported."""

import gzip
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import pytest
import segno
from PIL import Image, ImageChops, ImageOps

from benchmarks.distortions import scanned
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import Seen, recover, sort_out
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.scan import Reading, read
from ecs_appliance.paper.scan_reader import read_codes
from ecs_appliance.paper.split import Scheme
from tests.papers import OTHER_LABEL, make_paper, make_shared_papers, noise, old_codes_of

DATA, OTHER = noise(3_300), noise(3_300, seed=1)
OF_TEXTS, OF_PICTURES = 200, 40
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
DPI = 150

Texts = list[str]
Pictures = list[Image.Image]


@dataclass(frozen=True)
class Paper:
    """The codes of DATA, as pictures and as texts, and those of another file."""

    pictures: Sequence[Image.Image]
    texts: Sequence[str]
    others: Sequence[str]


def new_paper() -> Paper:
    return scanned_paper([make_paper(DATA)], [make_paper(OTHER, OTHER_LABEL)])


def split_paper() -> Paper:
    """Return two of three shares of DATA, and two of another file."""
    two, other_two = (list(make_shared_papers(data, Scheme(2, 3)).values())[1:] for data in (DATA, OTHER))
    return scanned_paper(two, other_two)


def old_paper() -> Paper:
    """Return the predecessor's paper: one code per picture, no hash. The other file is an earlier version of it."""
    earlier = bytes(byte ^ (place % 500 == 0) for place, byte in enumerate(DATA))
    texts, others = old_codes_of(gzip.compress(DATA)), old_codes_of(gzip.compress(earlier))
    return Paper([drawn(text) for text in texts], texts, others)


def scanned_paper(pdfs: Sequence[bytes], others: Sequence[bytes]) -> Paper:
    pictures = [page for pdf in pdfs for page in scanned(pdf, DPI) if read_codes(page)]
    return Paper(
        pictures,
        [text for page in pictures for text in read_codes(page)],
        [text for pdf in others for page in scanned(pdf, DPI) for text in read_codes(page)],
    )


def drawn(text: str) -> Image.Image:
    buffer = io.BytesIO()
    segno.make(text, error="m", boost_error=False, micro=False).save(buffer, "png", scale=4)
    return Image.open(buffer).convert("L")


PAPERS: dict[str, Callable[[], Paper]] = {"new": new_paper, "split": split_paper, "predecessor's": old_paper}


@pytest.fixture(scope="module", params=PAPERS)
def paper(request: pytest.FixtureRequest) -> Paper:
    return PAPERS[request.param]()


# Mutations of texts


def change(texts: Texts, paper: Paper, random: Random) -> None:
    at = random.randrange(len(texts))
    texts[at] = with_piece(texts[at], random.choice(ALPHABET), random)


def swap_characters(texts: Texts, paper: Paper, random: Random) -> None:
    at = random.randrange(len(texts))
    one, two = sorted(random.sample(range(len(texts[at])), 2))
    text = list(texts[at])
    text[one], text[two] = text[two], text[one]
    texts[at] = "".join(text)


def drop_character(texts: Texts, paper: Paper, random: Random) -> None:
    at = random.randrange(len(texts))
    texts[at] = with_piece(texts[at], "", random)


def change_header(texts: Texts, paper: Paper, random: Random) -> None:
    """Change the kind, number, count or hash of a new code, or the number of the predecessor's."""
    at = random.randrange(len(texts))
    place = random.randrange(random.choice((2, 9, 137)))
    texts[at] = texts[at][:place] + random.choice("0189") + texts[at][place + 1 :]


def exchange_headers(texts: Texts, paper: Paper, random: Random) -> None:
    """Exchange the tails of two codes."""
    one, two = (random.randrange(len(texts)) for _ in range(2))
    cut = random.choice((3, 137, random.randrange(1, 2000)))
    texts[one], texts[two] = texts[one][:cut] + texts[two][cut:], texts[two][:cut] + texts[one][cut:]


def truncate(texts: Texts, paper: Paper, random: Random) -> None:
    at = random.randrange(len(texts))
    texts[at] = texts[at][: -random.choice((1, 8, random.randrange(1, len(texts[at])))) or None]


def lose_one(texts: Texts, paper: Paper, random: Random) -> None:
    del texts[random.randrange(len(texts))]


def bring_another_files(texts: Texts, paper: Paper, random: Random) -> None:
    other = random.choice(paper.others)
    if random.random() < 0.5:
        texts.append(other)
    else:
        texts[random.randrange(len(texts))] = other


def repeat_with_changes(texts: Texts, paper: Paper, random: Random) -> None:
    texts.append(with_piece(random.choice(texts), random.choice(ALPHABET), random))


def with_piece(text: str, piece: str, random: Random) -> str:
    """Return `text` with one of its characters replaced by `piece`."""
    place = random.randrange(len(text))
    return text[:place] + piece + text[place + 1 :]


TEXT_MUTATIONS = (
    change,
    swap_characters,
    drop_character,
    change_header,
    exchange_headers,
    truncate,
    lose_one,
    bring_another_files,
    repeat_with_changes,
)


def test_texts(paper: Paper) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(OF_TEXTS):
        random = Random(seed)
        texts = list(paper.texts)
        for mutate in random.choices(TEXT_MUTATIONS, k=random.randint(1, 2)):
            if texts:
                mutate(texts, paper, random)
        random.shuffle(texts)
        outcomes[outcome(partial(of_texts, texts))] += 1
    assert min(outcomes["the file"], outcomes["an error"]) > OF_TEXTS / 20, outcomes


# Mutations of pictures


def paint(pictures: Pictures, paper: Paper, random: Random) -> None:
    """Fill a block with a single shade."""
    pick(pictures, random).paste(random.choice((0, 128, 255)), block(pictures[0], random))


def invert(pictures: Pictures, paper: Paper, random: Random) -> None:
    picture, place = pick(pictures, random), block(pictures[0], random)
    picture.paste(ImageOps.invert(picture.crop(place)), place)


def shift(pictures: Pictures, paper: Paper, random: Random) -> None:
    """Copy a block of a picture to a position nearby."""
    picture, place = pick(pictures, random), block(pictures[0], random)
    picture.paste(picture.crop(place), (place[0] + random.randint(-9, 9), place[1] + random.randint(-9, 9)))


def swap(pictures: Pictures, paper: Paper, random: Random) -> None:
    """Swap a block between two pictures: some blocks contain whole codes, others pieces."""
    one, two, place = pick(pictures, random), pick(pictures, random), block(pictures[0], random)
    piece = one.crop(place)
    one.paste(two.crop(place), place)
    two.paste(piece, place)


def cover(pictures: Pictures, paper: Paper, random: Random) -> None:
    """Put a code of another file on a picture."""
    code = drawn(random.choice(paper.others))
    pick(pictures, random).paste(code, (random.randrange(0, 400), random.randrange(0, 400)))


def scale(pictures: Pictures, paper: Paper, random: Random) -> None:
    at = random.randrange(len(pictures))
    picture = pictures[at]
    size = (round(picture.width * random.uniform(0.6, 1.4)), round(picture.height * random.uniform(0.6, 1.4)))
    pictures[at] = picture.resize(size)


def spoil(pictures: Pictures, paper: Paper, random: Random) -> None:
    """Add noise, which is the same for the same seed."""
    at = random.randrange(len(pictures))
    picture = pictures[at]
    grain = Image.frombytes("L", (picture.width, picture.height), random.randbytes(picture.width * picture.height))
    pictures[at] = ImageChops.blend(picture, grain, random.uniform(0.2, 0.8))


def pick(pictures: Pictures, random: Random) -> Image.Image:
    return random.choice(pictures)


def block(picture: Image.Image, random: Random) -> tuple[int, int, int, int]:
    width, height = random.randrange(8, picture.width), random.randrange(8, picture.height // 2)
    left, top = random.randrange(picture.width - width + 1), random.randrange(picture.height - height)
    return left, top, left + width, top + height


PICTURE_MUTATIONS = (paint, invert, shift, swap, cover, scale, spoil)


@pytest.mark.timeout(180)
def test_pictures(paper: Paper) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(OF_PICTURES):
        random = Random(seed)
        pictures = [picture.copy() for picture in paper.pictures]
        for mutate in random.choices(PICTURE_MUTATIONS, k=random.randint(1, 2)):
            mutate(pictures, paper, random)
        outcomes[outcome(partial(of_pictures, pictures))] += 1
    assert min(outcomes["the file"], outcomes["an error"]) > OF_PICTURES / 20, outcomes


def of_texts(texts: Sequence[str]) -> bytes:
    """Return the file recovered from the codes `texts`."""
    return recover(sort_out(Seen(text, "scan.png") for text in texts)).data


def of_pictures(pictures: Sequence[Image.Image]) -> bytes:
    """Return the file recovered from the sheets `pictures`."""
    return read([document(picture, f"{number}.bmp") for number, picture in enumerate(pictures)], Reading()).data


def document(picture: Image.Image, name: str) -> Document:
    buffer = io.BytesIO()
    picture.save(buffer, "BMP")
    return Document(name, buffer.getvalue())


def outcome(recovered: Callable[[], bytes]) -> str:
    """Return the outcome; any error other than the project's own fails the test."""
    try:
        data = recovered()
    except ApplianceError:
        return "an error"
    assert data == DATA
    return "the file"
