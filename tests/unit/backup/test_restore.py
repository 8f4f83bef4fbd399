"""A database server that exits during replay is reported at once, although systemd keeps restarting it."""

from pathlib import Path

import pytest

from ecs_appliance.backup import restore
from ecs_appliance.backup.run import Installation
from ecs_appliance.core.errors import ApplianceError, NotRunningError
from ecs_appliance.core.paths import Paths
from ecs_appliance.env.model import Env
from ecs_appliance.host import postgres
from ecs_appliance.host.cluster import UNIT
from tests.fakes import Answer, AnsweringRunner

LOG = "var/log/postgresql/postgresql-17-main.log"


@pytest.mark.parametrize(
    "states",
    [
        ["ActiveState=failed\nNRestarts=0\n"],
        [
            "ActiveState=activating\nNRestarts=0\n",
            "ActiveState=active\nNRestarts=0\n",
            "ActiveState=inactive\nNRestarts=0\n",
        ],
        ["ActiveState=active\nNRestarts=0\n", "ActiveState=activating\nNRestarts=1\n"],
    ],
)
def test_one_that_has_ended_is_told_of_in_its_own_words(
    tmp_path: Path, states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, seen = tmp_path / LOG, iter(states)
    log.parent.mkdir(parents=True)
    log.write_text("FATAL:  of another time\n")

    def answer(argv: list[str]) -> Answer:
        if argv[:2] == ["systemctl", "start"]:
            log.write_text(log.read_text() + "FATAL:  the log has a gap\n")
            return 1, "", ""
        return 0, next(seen) if argv[1] == "show" else "", ""

    def nobody(*_: object) -> None:
        raise NotRunningError("nobody answers", "")

    monkeypatch.setattr(postgres, "connected", nobody)
    monkeypatch.setattr("time.sleep", lambda _: None)
    runner = AnsweringRunner(answer)
    with pytest.raises(ApplianceError, match=r"does not start from its backup: the log has a gap"):
        restore.replay(Installation(Paths(tmp_path), runner, Env.model_construct()))
    assert next(seen, None) is None
    assert runner.asked[-1] == ["systemctl", "stop", UNIT]
