"""A runner that starts no process, for testing which commands are run and how their output is handled."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from ecs_appliance.core.runner import CommandError, Result

# Exit code, standard output, standard error.
Answer = tuple[int, str, str]


class AnsweringRunner:
    """Return what a function of argv answers, record the calls, and fail as the real runner does."""

    def __init__(self, answer: Callable[[list[str]], Answer]) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []
        self.users: set[str | None] = set()
        self.die_with_parent = False
        self.environment: Mapping[str, str] = {}

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout: float,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ok: Sequence[int] = (0,),
        secrets: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
        die_with_parent: bool = False,
        output: IO[bytes] | None = None,
    ) -> Result:
        """See Runner.run."""
        words = [str(word) for word in argv]
        self.asked.append(words)
        self.die_with_parent = die_with_parent
        self.users.add(user)
        self.environment = env or self.environment
        returncode, stdout, stderr = self.answer(words)
        if returncode not in ok:
            said = (stderr or stdout).strip()
            told = f":\n{said}" if said else ""
            raise CommandError(f"{words[0]} failed{told}", returncode=returncode, output=said)
        return Result(tuple(words), returncode, stdout, stderr, 0.0, stdout.encode())
