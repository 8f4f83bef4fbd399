"""Whatever a container writes, the journal attributes it to that container."""

import base64
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.machine.conftest import Demo, Until

WEB = "ecs_ecs.web_1"
FORGERIES = {
    "separators": b"a\xe2\x80\xa8prepare-ecs: done\xe2\x80\xa9b\xc2\x85c\x0bd\x0ce\x1cf\x1dg\x1eh",
    "carriage return": b"x\recs_redis_1      | said by another",
    "terminal": b"\x1b[2J\x1b[1;31m\x1b]0;title\x07\x9b31m",
    "priority": b"<0>kernel: panic",
    "direction": b"\xe2\x80\xaegnp.exe\xe2\x81\xa6x\xe2\x80\x8by",
    "no text": b"\xff\xfe\x00\x01",
    "long": b"y" * 200_000,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_line_is_one_record_of_that_container(demo: "Demo", until: "Until", name: str) -> None:
    mark = f"mark-{name.replace(' ', '-')}"
    line = mark.encode() + b" " + FORGERIES[name] + b" " + mark.encode() + b"-end\n"
    cursor = demo.sh("journalctl --lines=0 --show-cursor --quiet").rpartition("-- cursor: ")[2]
    demo.machine.guest.push("/run/forged", base64.b64encode(line).decode())
    # Write as the container's first process does, whose standard output its other processes may not open.
    process = f"$(docker inspect --format={{{{.State.Pid}}}} {WEB})"
    demo.sh(f"base64 -d /run/forged > /proc/{process}/fd/1; rm /run/forged")

    def records() -> list[dict[str, object]]:
        told = demo.sh(f"journalctl --unit=appliance --output=json --all --after-cursor='{cursor}'")
        return [json.loads(each) for each in told.splitlines()]

    until(lambda: any(mark in str(record["MESSAGE"]) for record in records()), 30)
    (found,) = [record for record in records() if mark in str(record["MESSAGE"]) or "yyyy" in str(record["MESSAGE"])]
    assert isinstance(found["MESSAGE"], str), "the journal takes it for binary"
    assert found["MESSAGE"].startswith(f"{WEB} ")
    assert found["MESSAGE"].isprintable()
    assert found["PRIORITY"] == "6"
    others = [str(record["MESSAGE"]) for record in records()]
    assert not [each for each in others if each.startswith(("prepare-ecs", "kernel", "ecs_redis_1      | said"))]
