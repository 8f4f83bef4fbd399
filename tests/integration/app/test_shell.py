"""Scripts sent to a Python that treats stdin as interactive input, like `manage.py shell` of old Django versions."""

import sys

import pytest

from ecs_appliance.app.shell import run_script
from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.runner import Result, SystemRunner

RUNNER = SystemRunner()
SCRIPT = """
import os

class Helper:
    def twice(self, text):
        return text * 2

def main(data):
    if data.get('refuse'):
        raise Refused('not ' + data['refuse'])

    return {'twice': Helper().twice(data['text']), 'here': os.path.exists('/')}
"""
SHELLS = {
    "interactive": "import code; code.interact(banner='Python', local={})",
    "all at once": "import sys; exec(sys.stdin.read())",
    "in a function": "import sys\ndef handle():\n    exec(sys.stdin.read(), globals())\nhandle()",
    "no namespace": "import sys\ndef handle():\n    exec(sys.stdin.read())\nhandle()",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_data_go_there_and_back(shell: str) -> None:
    def send(text: str) -> Result:
        return RUNNER.run([sys.executable, "-c", SHELLS[shell]], timeout=30, input=text)

    text = 'O\'Brien "Größe" \\ \n$HOME `id` %s {} ' + "x" * 20000
    assert run_script(send, SCRIPT, {"text": text}) == {"twice": text * 2, "here": True}
    with pytest.raises(ApplianceError, match=r"^not today's$"):
        run_script(send, SCRIPT, {"refuse": "today's"})


def test_data_of_megabytes_go_there_and_back() -> None:
    """As many names as a large site has documents."""

    def send(text: str) -> Result:
        return RUNNER.run([sys.executable, "-c", SHELLS["interactive"]], timeout=30, input=text)

    text = "x" * 2_000_000
    assert run_script(send, SCRIPT, {"text": text}) == {"twice": text * 2, "here": True}


def test_python_that_does_not_come_up_is_told() -> None:
    def send(text: str) -> Result:
        return RUNNER.run(
            [sys.executable, "-c", "raise SystemExit('no such settings')"], timeout=30, input=text, ok=(1,)
        )

    with pytest.raises(ApplianceError, match="no such settings"):
        run_script(send, SCRIPT, {})
