"""Problems of an env.yml, each reported in one line that an operator can act on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]
LONGEST_QUOTE = 40


@dataclass(frozen=True)
class Diagnostic:
    """One problem: where (`line` and `column` count from 1; `path` is the dotted key), how severe, what is wrong."""

    line: int
    column: int
    path: str
    severity: Severity
    message: str

    def format(self, name: str) -> str:
        """Return one line that starts with the location, as compilers print it."""
        where = f"{self.path}: " if self.path else ""
        return f"{name}:{self.line}:{self.column}: {self.severity}: {where}{self.message}"


def sorted_unique(problems: Iterable[Diagnostic], *, strict: bool = False) -> tuple[Diagnostic, ...]:
    """Return `problems` sorted by location, without duplicates; with `strict`, warnings become errors."""
    raised = (replace(problem, severity="error") if strict else problem for problem in problems)
    return tuple(sorted(set(raised), key=lambda p: (p.line, p.column, p.path, p.message)))


def report(problems: Iterable[Diagnostic], name: str) -> str:
    """Return the report on the file `name`: a line per problem, then their number; empty if there are none."""
    found = tuple(problems)
    if not found:
        return ""
    errors = sum(problem.severity == "error" for problem in found)
    counts = (_counted(errors, "error"), _counted(len(found) - errors, "warning"))
    total = ", ".join(count for count in counts if count)
    return "\n".join([*(problem.format(name) for problem in found), f"{name}: {total}"])


def as_json(problems: Iterable[Diagnostic]) -> str:
    """Return the report for programs: a JSON array of objects."""
    return json.dumps([asdict(problem) for problem in problems], indent=2, ensure_ascii=False)


def quoted(text: str) -> str:
    """Quote `text`, which must not be secret, for a message: shortened and printable."""
    short = text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
    return json.dumps(short, ensure_ascii=not short.isprintable())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
