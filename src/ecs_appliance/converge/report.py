"""Parses Salt's result of a run into a typed report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ecs_appliance.core.errors import ApplianceError, BusyError
from ecs_appliance.core.log import masked

Outcome = Literal["unchanged", "changed", "would change", "failed"]


class ConvergeError(ApplianceError):
    """The machine could not be converged; the message names each failed state."""


@dataclass(frozen=True)
class StateResult:
    """Result of one state; `name` has its function and id, `changes` are plain data."""

    name: str
    outcome: Outcome
    comment: str
    changes: Mapping[str, Any]
    seconds: float

    def describe(self) -> str:
        """Return the changes as indented text, diffs verbatim; if there are none, the comment."""
        diff = self.changes.get("diff")
        text = diff if isinstance(diff, str) else "\n".join(f"{key}: {value}" for key, value in self.changes.items())
        return "\n".join(f"    {line}" for line in (text or self.comment).splitlines())


@dataclass(frozen=True)
class ConvergeReport:
    """Result of a run: all states, in order of execution."""

    states: tuple[StateResult, ...]
    seconds: float

    def having(self, *outcomes: Outcome) -> tuple[StateResult, ...]:
        """Return the states with one of `outcomes`."""
        return tuple(state for state in self.states if state.outcome in outcomes)

    def check(self) -> None:
        """Raise ConvergeError if a state failed."""
        failed = self.having("failed")
        if failed:
            lines = [f"{state.name}: {state.comment}" for state in failed]
            raise ConvergeError(
                f"{len(failed)} of {len(self.states)} states failed:\n" + masked("\n".join(lines)),
                "fix the cause, then: appliance converge",
            )

    def as_data(self) -> dict[str, Any]:
        """Return the report as plain data; unchanged states are only counted."""
        shown = [asdict(state) for state in self.having("changed", "would change", "failed")]
        return {"ok": not self.having("failed"), "states": len(self.states), "seconds": self.seconds, "shown": shown}

    def summary(self) -> str:
        """Return a one-line summary."""
        changed = len(self.having("changed", "would change"))
        return (
            f"{len(self.states)} states, {changed} changed, {len(self.having('failed'))} failed, {self.seconds:.1f} s"
        )


def parse_result(result: object, seconds: float) -> ConvergeReport:
    """Return the report of Salt's `result` of a run that took `seconds`.

    Raises ConvergeError for render errors (a list of texts) and an empty result, BusyError if another run is active.
    """
    if isinstance(result, list):
        if any("is running as PID" in str(error) for error in result):
            raise BusyError("another run of the states is in progress", "wait until it has finished, then try again")
        raise ConvergeError("the states could not be read:\n" + masked("\n".join(map(str, result))), _where(result))
    if not isinstance(result, Mapping) or not result:
        raise ConvergeError(f"Salt returned no result: {masked(str(result))}", "`appliance -v converge` shows more")
    ordered = sorted(result.items(), key=lambda item: item[1]["__run_num__"])
    return ConvergeReport(tuple(_parse_state(key, value) for key, value in ordered), seconds)


def _where(errors: list[Any]) -> str:
    if any(str(error).startswith("Pillar failed") for error in errors):
        return "nothing was changed; the active environment may be broken: appliance env check /run/active-env.yml"
    if any("extra" in str(error) for error in errors):
        return "nothing was changed; fix appliance.extra.states in env.yml"
    return "nothing was changed; this release is broken: go back to the previous one"


def _parse_state(key: str, value: Mapping[str, Any]) -> StateResult:
    module, identifier, name, function = key.split("_|-", 3)
    changes = value.get("changes") or {}
    label = identifier if identifier == name else f"{identifier} ({name})"
    return StateResult(
        name=f"{module}.{function} {label}",
        outcome=_outcome(value["result"], bool(changes)),
        comment=str(value.get("comment", "")).strip(),
        changes=changes,
        seconds=float(value.get("duration") or 0) / 1000,
    )


def _outcome(result: bool | None, changes: bool) -> Outcome:
    if result is None:
        return "would change"
    if not result:
        return "failed"
    return "changed" if changes else "unchanged"
