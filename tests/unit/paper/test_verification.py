import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.paper.collection import IncompleteError
from ecs_appliance.paper.pictures import Document
from ecs_appliance.paper.split import Scheme
from ecs_appliance.paper.verification import UnprovenError, verify
from tests.papers import make_paper, make_shared_papers

DATA = b"#cloud-config\nappliance:\n  domain: ecs.example.org\n"


def test_paper_that_holds_the_file() -> None:
    assert verify([Document("env.yml.pdf", make_paper(DATA))], DATA) == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (DATA.replace(b"ecs", b"ECS"), "line 3 is the first that differs"),
        (DATA + b"# more\n", "one is longer than the other"),
        (DATA.replace(b"\n", b"\r\n"), "the line ends differ"),
    ],
)
def test_paper_of_another_file(other: bytes, message: str) -> None:
    with pytest.raises(UnprovenError, match=message) as caught:
        verify([Document("env.yml.pdf", make_paper(DATA))], other)
    assert "env.yml.pdf" in caught.value.message and "ecs" not in caught.value.message


def test_every_share_is_proven() -> None:
    papers = [Document(name, pdf) for name, pdf in make_shared_papers(DATA, Scheme(2, 3)).items()]
    assert verify(papers, DATA) == 1
    assert verify(papers[1:], DATA) == 1
    with pytest.raises(IncompleteError, match="2 shares are needed"):
        verify(papers[:1], DATA)


def test_a_share_that_does_not_fit_is_noticed() -> None:
    one, other = (make_shared_papers(DATA, Scheme(2, 3)) for _ in range(2))
    papers = [Document(name, pdf) for name, pdf in list(one.items())[:2]]
    stranger = Document("other", list(other.values())[2])
    with pytest.raises(ApplianceError, match="sheets of several files"):
        verify([*papers, stranger], DATA)
