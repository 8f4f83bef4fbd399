"""Run Python scripts inside the application. Input is passed as data, never as code; the answer is one marked line."""

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from ecs_appliance.app.migration import app_task
from ecs_appliance.app.settings import AppSettings
from ecs_appliance.core.errors import ApplianceError, NotRunningError, RefusedError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import CommandError, Result, Runner
from ecs_appliance.core.text import printable
from ecs_appliance.host import docker
from ecs_appliance.host.docker import Task

log = logging.getLogger(__name__)

WEB = "ecs_ecs.web_1"
ARGV = ("run", "./manage.py", "shell")
SECONDS = 120
ANSWER = re.compile(r"@@appliance:([A-Za-z0-9+/=]+)@@")
# Must also run in Python 3.5. The script defines `main(data)`.
FRAME = """
import base64, json, traceback
class Refused(Exception):
    pass
%(script)s
def _answer(data):
    try:
        return {'result': main(data)}
    except Refused as error:
        return {'refused': error.args}
    except Exception:
        return {'failed': traceback.format_exc()}
_said = json.dumps(_answer(json.loads(base64.b64decode('%(data)s').decode('utf-8'))))
print('@@appliance:' + base64.b64encode(_said.encode('utf-8')).decode('ascii') + '@@')
"""

Send = Callable[[str], Result]
Answer = Mapping[str, Any]


def in_web(runner: Runner, container: str = WEB, *, seconds: float = SECONDS) -> Send:
    """Return a function that runs scripts in the running site, at most `seconds` each, or raises NotRunningError."""

    def send(text: str) -> Result:
        state = docker.inspect_container(runner, container)
        if state is None or state.status != "running":
            raise NotRunningError(f"{container} is not running", start_hint(Paths()))
        return docker.exec_in(runner, container, ("/start", *ARGV), input=text, timeout=seconds)

    return send


def start_hint(paths: Paths) -> str:
    """Return the hint how to start the site, which differs if the latch exists."""
    if not paths.latch.exists():
        return "systemctl start appliance"
    cause = f"{paths.latch} says what keeps it down: fix that"
    return f"{cause}, then: rm {paths.latch}; systemctl restart appliance"


def in_image(runner: Runner, paths: Paths, image: str, site: AppSettings) -> Send:
    """Return a function that runs scripts in one-off containers of `image`, for use before the site starts."""
    return in_task(runner, app_task("appliance-shell", image, paths, site, ARGV))


def in_task(runner: Runner, task: Task, *, seconds: float = SECONDS) -> Send:
    """Return a function that runs scripts in the container `task`, whose argv is ARGV, for at most `seconds` each."""

    def send(text: str) -> Result:
        return docker.run_once(runner, task, timeout=seconds, input=text)

    return send


def run_script(send: Send, script: str, data: Mapping[str, Any]) -> Answer:
    """Run `script`, which defines `main(data)`, and return the result of `main`.

    If it raises `Refused(message[, hint])`, raise RefusedError; for any other failure, ApplianceError.
    """
    try:
        result = send(embed(script, data))
    except CommandError as error:
        # It may have answered before it failed, and an answer may contain a passphrase.
        raise CommandError(ANSWER.sub("…", error.message), error.hint, returncode=error.returncode) from None
    found = ANSWER.findall(result.stdout)
    if not found:
        tail = "\n".join(map(printable, (result.stdout + result.stderr).splitlines()[-5:]))
        raise ApplianceError(f"the application did not answer:\n{tail}", "docker logs ecs_ecs.web_1 may show why")
    answer = json.loads(base64.b64decode(found[-1]))
    if "refused" in answer:
        raise RefusedError(*map(printable, answer["refused"]))
    if "failed" in answer:
        log.info("%s", answer["failed"])
        raise ApplianceError(f"the application failed: {printable(answer['failed'].strip().splitlines()[-1])}")
    return answer["result"]  # type: ignore[no-any-return]


def embed(script: str, data: Mapping[str, Any]) -> str:
    """Return `script` and `data` as one line of Python, since an interactive interpreter reads stdin line by line."""
    framed = FRAME % {"script": script, "data": _encoded(json.dumps(data))}
    # In its own namespace: some shells run stdin inside a function, where the script's functions would not see imports.
    return f"exec(__import__('base64').b64decode('{_encoded(framed)}').decode('utf-8'), {{}})\n"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
