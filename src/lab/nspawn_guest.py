"""The guest of an nspawn machine, which shares this host's kernel: commands enter its namespaces."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ecs_appliance.core.log import masked
from ecs_appliance.core.runner import BASE_ENVIRONMENT, CommandError, Result, Runner, SystemRunner
from lab.guest import Guest

# nsenter keeps this host's capabilities: setting the clock inside would set the host's. They are dropped before it
# enters, by this host's own program.
CONFINED = ("setpriv", "--bounding-set=-sys_time,-sys_module", "--inh-caps=-sys_time,-sys_module")
# The number of words with which the runner names a command in messages.
NAME_WORDS = 3


@dataclass(frozen=True)
class NspawnGuest(Guest):
    """An nspawn machine; `init` is the pid of its process 1 on this host.

    Commands start as fast as local processes.
    """

    init: int
    runner: Runner

    def argv(
        self,
        words: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        user: str | None = None,
    ) -> list[str]:
        """Return the command on this host that runs `words` inside."""
        variables = {**BASE_ENVIRONMENT, "TERM": os.environ.get("TERM", "dumb"), **(env or {})}
        drop = ["runuser", f"--user={user}", "--"] if user else []
        assignments = [f"{name}={value}" for name, value in variables.items()]
        enter = [*CONFINED, "nsenter", f"--target={self.init}", "--all", "--", "env", "-i", f"--chdir={cwd}"]
        return [*enter, *assignments, *drop, *map(str, words)]

    def run(
        self,
        words: Sequence[str | Path],
        *,
        timeout: float,
        data: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        user: str | None = None,
        ok: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run the command `words` inside; everything else is as in Runner.run, with `data` as its `input`."""
        entering = self.argv(words, env=env, cwd=cwd, user=user)
        try:
            return self.runner.run(entering, timeout=timeout, input=data, ok=ok, secrets=secrets, on_line=on_line)
        except CommandError as error:
            name = masked(" ".join(map(str, words[:NAME_WORDS])), tuple(secrets))
            reason = error.message.removeprefix(" ".join(entering[:NAME_WORDS])).lstrip()
            raise CommandError(
                f"in the machine: {name} {reason}", error.hint, returncode=error.returncode, output=error.output
            ) from None

    def exec(self, words: Sequence[str | Path]) -> NoReturn:
        """Replace this process with the command `words` inside, which inherits the terminal and sets the exit code."""
        SystemRunner().replace(self.argv(words))
