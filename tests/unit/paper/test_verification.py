import io

import pytest
from pypdfium2 import PdfDocument

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import IncompleteError
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.split import Scheme
from ecs_appliance.paper.verification import UnprovenError, verify, verify_each
from tests.papers import make_paper, make_shared_papers

DATA = b"#cloud-config\nappliance:\n  domain: ecs.example.org\n"


def test_paper_that_holds_the_file() -> None:
    assert verify([Document("env.yml.pdf", make_paper(DATA))], DATA).codes == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (DATA.replace(b"ecs", b"ECS"), "line 3 is the first that differs"),
        (DATA + b"# more\n", "one is longer than the other"),
        (DATA.replace(b"\n", b"\r\n"), "the line endings differ"),
    ],
)
def test_paper_of_another_file(other: bytes, message: str) -> None:
    with pytest.raises(UnprovenError, match=message) as caught:
        verify([Document("env.yml.pdf", make_paper(DATA))], other)
    assert "env.yml.pdf" in caught.value.message and "ecs" not in caught.value.message


def shares(count: int = 3) -> list[Document]:
    return [Document(name, pdf) for name, pdf in make_shared_papers(DATA, Scheme(2, count)).items()]


def without_codes(paper: Document) -> Document:
    """Return a share without its codes, only its words."""
    assert isinstance(paper.source, bytes)
    with PdfDocument(paper.source) as pdf:
        del pdf[1]
        buffer = io.BytesIO()
        pdf.save(buffer)
    return Document(paper.name, buffer.getvalue())


def test_every_share_is_proven() -> None:
    papers = shares()
    found = verify(papers, DATA)
    assert (found.codes, [share.number for share in found.shares]) == (1, [1, 2, 3])
    assert [share.number for share in verify(papers[1:], DATA).shares] == [2, 3]
    with pytest.raises(IncompleteError, match="2 shares are needed"):
        verify(papers[:1], DATA)


def test_a_share_that_does_not_fit_is_noticed() -> None:
    with pytest.raises(ApplianceError, match="the sheets belong to several files"):
        verify([*shares()[:2], shares()[2]], DATA)


def test_of_sets_each_has_to_be_complete() -> None:
    papers = shares()
    assert verify_each(papers, DATA).codes == 1
    spoilt = [papers[0], without_codes(papers[1]), papers[2]]
    assert verify(spoilt, DATA).codes == 1
    with pytest.raises(UnprovenError, match=f"^{papers[1].name} is incomplete"):
        verify_each(spoilt, DATA)


def test_a_whole_set_is_compared() -> None:
    paper = [Document("env.yml.pdf", make_paper(DATA))]
    assert verify_each(paper, DATA).codes == 1
    with pytest.raises(UnprovenError, match="a different file"):
        verify_each(paper, DATA + b"# more\n")
