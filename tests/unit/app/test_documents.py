"""Questions to the application about its documents, and the script that asks them."""

import ast
import io
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from uuid import UUID, uuid4

import pytest

from ecs_appliance.app.documents import SCRIPT, read_documents
from ecs_appliance.core.errors import ApplianceError
from tests.unit.app.application import Application, interpreter


class Row:
    """A document of a simulated application."""

    read: list[str]

    def __init__(self, fails: Exception | None = None) -> None:
        self.uuid, self.fails = uuid4(), fails

    def retrieve_raw(self) -> io.BytesIO:
        if self.fails:
            raise self.fails
        type(self).read.append(self.uuid.hex)
        return io.BytesIO(b"content")


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Row]]:
    found = [Row(), Row(), Row(KeyError("signer")), Row()]
    Row.read = []
    models = ModuleType("ecs.documents.models")
    objects = SimpleNamespace(all=lambda: SimpleNamespace(iterator=lambda: iter(found)))
    models.Document = SimpleNamespace(objects=objects)  # type: ignore[attr-defined]
    for name in ("ecs", "ecs.documents"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, models.__name__, models)
    monkeypatch.setattr("os.nice", lambda _: 0)
    yield found
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def test_all_but_the_proven_are_read_to_their_end(rows: list[Row]) -> None:
    names, unreadable = read_documents(interpreter, {rows[1].uuid.hex, uuid4().hex})
    assert names == {row.uuid.hex for row in rows}
    assert unreadable == {rows[2].uuid.hex: "KeyError"}
    assert set(Row.read) == {rows[0].uuid.hex, rows[3].uuid.hex}


def test_an_application_without_documents(rows: list[Row]) -> None:
    rows.clear()
    assert read_documents(interpreter, set()) == (frozenset(), {})


def test_an_application_that_cannot_tell_is_an_error(rows: list[Row]) -> None:
    rows[0].__dict__.clear()
    with pytest.raises(ApplianceError, match="the application failed: AttributeError"):
        read_documents(interpreter, set())


def test_names_are_those_of_the_vault() -> None:
    strange = str(UUID(int=1))
    with pytest.raises(ApplianceError, match="name documents differently"):
        read_documents(Application({"documents": [strange], "unreadable": {}}), set())
    answer = {"documents": ["0" * 32], "unreadable": {"0" * 32: "\x1b[2J"}}
    assert read_documents(Application(answer), set())[1] == {"0" * 32: "\\x1b[2J"}


def test_the_script_is_python_3_5() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 5))
