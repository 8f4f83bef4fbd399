"""An application that is not there: a Python that runs what is sent, and one that gives a fixed answer."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from ecs_appliance.app.shell import embed
from ecs_appliance.core.runner import Result


def interpreter(text: str) -> Result:
    """Runs what is sent as a Python of the application would, with the noise that comes along there."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(text, {})  # noqa: S102 # that is what the other end does
    return Result(("docker",), 0, f"activate environment\n>>> {output.getvalue()}>>> \n", "", 0.1)


class Application:
    """Answers as the application does, and keeps what it was asked."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.asked = ""

    def __call__(self, text: str) -> Result:
        self.asked = text
        return interpreter(embed(f"def main(data):\n    return {dict(self.answer)!r}\n", {}))
