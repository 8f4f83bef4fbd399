"""How documents that the site has lost are reported, and for how long; and how they are compared."""

import hashlib
from pathlib import Path

import pytest

from ecs_appliance.app.shell import embed
from ecs_appliance.app.vaultkeys import PUBLIC, SECRET
from ecs_appliance.backup.documents import Stock, place_of
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import Result
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.documents import compare_documents, tell_of_documents
from tests.unit.app.application import interpreter

ONE, TWO = "1" * 32, "2" * 32


def test_an_alert_names_them_until_they_are_back(tmp_path: Path) -> None:
    context = Context(Paths(tmp_path))
    tell_of_documents(context, Stock(3, missing=(ONE,), altered=(TWO,)))
    (alert,) = context.alerts.standing()
    assert (alert.topic, alert.severity) == ("documents", "critical")
    assert alert.message == f"this site has lost 2 documents: {ONE} is missing, {TWO} is altered"
    assert "appliance backup restore-document ID" in alert.hint
    tell_of_documents(context, Stock(3))
    assert context.alerts.standing() == []


def test_many_are_counted_and_nobody_is_blamed_unheard(tmp_path: Path) -> None:
    context = Context(Paths(tmp_path))
    tell_of_documents(context, Stock(3, missing=tuple(f"{number:032}" for number in range(20))))
    assert "lost 20 documents" in context.alerts.standing()[0].message
    assert "and 15 more" in context.alerts.standing()[0].message
    tell_of_documents(context, Stock(3, gone=(ONE,)))
    assert "it is unknown whether the application removed it" in context.alerts.standing()[0].message


class Site:
    """A site with documents; the application cannot read those in `unreadable`."""

    def __init__(self, root: Path) -> None:
        self.paths, self.rows, self.unreadable = Paths(root), set[str](), dict[str, str]()
        self.keys("first")

    def keys(self, content: str) -> None:
        self.paths.keyring.mkdir(parents=True, exist_ok=True)
        for name in (PUBLIC, SECRET):
            (self.paths.keyring / name).write_text(content)

    def store(self, name: str, content: str = "content") -> None:
        file = self.paths.vault / place_of(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        self.rows.add(name)

    def record(self) -> None:
        digest = hashlib.sha256(b"content").hexdigest()
        self.paths.backup_documents.parent.mkdir(parents=True)
        self.paths.backup_documents.write_text("".join(f"{digest}  {place_of(name)}\n" for name in sorted(self.rows)))

    def send(self, _: str) -> Result:
        answer = {"documents": sorted(self.rows), "unreadable": self.unreadable}
        return interpreter(embed(f"def main(data):\n    return {answer!r}\n", {}))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_was_read_once_is_not_read_again_with_the_same_keys(site: Site) -> None:
    context = Context(site.paths)
    site.store(ONE)
    site.record()
    counts = [compare_documents(context, site.paths, site.send) for _ in range(2)]
    assert [(found.recorded, found.read, found.proven) for found in counts] == [(1, 1, 0), (1, 0, 1)]
    site.store(TWO)
    found = compare_documents(context, site.paths, site.send)
    assert (found.recorded, found.unrecorded, found.read, found.proven) == (1, 1, 1, 1)
    site.keys("other")
    assert compare_documents(context, site.paths, site.send).read == 2


def test_what_could_not_be_read_is_not_proven(site: Site) -> None:
    context = Context(site.paths)
    site.store(ONE)
    site.record()
    site.unreadable = {ONE: "GpgError"}
    for _ in range(2):
        found = compare_documents(context, site.paths, site.send)
        assert found.wrong() == (f"document {ONE} cannot be decrypted and verified: GpgError",)


def test_a_document_that_is_stored_meanwhile_is_there(site: Site) -> None:
    context = Context(site.paths)

    def send(text: str) -> Result:
        site.store(ONE)
        return site.send(text)

    found = compare_documents(context, site.paths, send)
    assert (found.rows, found.read, found.wrong()) == (1, 1, ())
