"""What can be wrong with an env.yml, said in one line an operator can act on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]
LONGEST_QUOTE = 40


@dataclass(frozen=True)
class Problem:
    """One problem: where (`line` and `column` count from 1, `path` is the dotted key), how bad, what was expected."""

    line: int
    column: int
    path: str
    severity: Severity
    message: str

    def told(self, name: str) -> str:
        """One line, led by the place as compilers do it."""
        where = f"{self.path}: " if self.path else ""
        return f"{name}:{self.line}:{self.column}: {self.severity}: {where}{self.message}"


def in_order(problems: Iterable[Problem], *, strict: bool = False) -> tuple[Problem, ...]:
    """`problems` by place, each once; warnings become errors where `strict`."""
    raised = (replace(problem, severity="error") if strict else problem for problem in problems)
    return tuple(sorted(set(raised), key=lambda p: (p.line, p.column, p.path, p.message)))


def report(problems: Iterable[Problem], name: str) -> str:
    """The report on the file `name`: a line a problem, then their number; empty where there is none."""
    found = tuple(problems)
    if not found:
        return ""
    errors = sum(problem.severity == "error" for problem in found)
    counts = (_counted(errors, "error"), _counted(len(found) - errors, "warning"))
    total = ", ".join(count for count in counts if count)
    return "\n".join([*(problem.told(name) for problem in found), f"{name}: {total}"])


def as_json(problems: Iterable[Problem]) -> str:
    """The report for programs: a JSON array of objects."""
    return json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False)


def quoted(text: str) -> str:
    """`text`, which is no secret, as a message may show it: short and printable."""
    short = text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
    return json.dumps(short, ensure_ascii=not short.isprintable())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
