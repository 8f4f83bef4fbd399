"""Simulated applications: a Python that runs the code it is sent, and one that gives a fixed answer."""

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from ecs_appliance.app.shell import embed
from ecs_appliance.core.runner import Result


def interpreter(text: str) -> Result:
    """Run the code as a Python of the application would, including the noise in its output."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(text, {})  # noqa: S102 # that is what the other end does
    return Result(("docker",), 0, f"activate environment\n>>> {output.getvalue()}>>> \n", "", 0.1)


class Application:
    """Answer as the application does, and remember the question."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.asked = ""

    def __call__(self, text: str) -> Result:
        self.asked = text
        return interpreter(embed(f"def main(data):\n    return {dict(self.answer)!r}\n", {}))
