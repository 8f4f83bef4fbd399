"""A run of appliance-certificate without remote servers: what it deploys, reports, and leaves to others."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from ecs_appliance.core.errors import ApplianceError
from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.lifecycle import certificate
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.converging import CONVERGED
from ecs_appliance.lifecycle.prepare_env import env_digest
from ecs_appliance.tls import acme, probe
from ecs_appliance.tls.acme import IssuanceState
from tests.fakes import Answer, AnsweringRunner

SMALLEST = (Path(__file__).parents[2] / "fixtures/env/accepted/smallest.yml").read_text()
ACTIVE = "ActiveState=active\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Return a machine with an active environment, whose nginx does what it is told."""
    monkeypatch.setattr(probe, "probe", lambda selections: [])
    paths = Paths(tmp_path)
    paths.active_env.parent.mkdir(parents=True)
    paths.active_env.write_text(SMALLEST)
    context = Context(paths, cast(SystemRunner, AnsweringRunner(lambda argv: (0, "", ""))))
    context.tags.set(CONVERGED, env_digest(paths))
    return context


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, ...], bool]]:
    """Return the recorded requests to ACME: the names, and whether renewal was forced; nothing is issued."""
    seen: list[tuple[tuple[str, ...], bool]] = []

    def request(
        _paths: Paths, _client: object, names: tuple[str, ...], *_: object, **more: object
    ) -> dict[str, IssuanceState]:
        seen.append((names, bool(more["forced"])))
        return {name: IssuanceState() for name in names}

    monkeypatch.setattr(acme, "request", request)
    return seen


def topics(context: Context) -> set[str]:
    return {alert.topic for alert in context.alerts.standing()}


def commands(context: Context) -> list[str]:
    return [" ".join(argv) for argv in cast(AnsweringRunner, context.runner).asked]


def edit(context: Context, old: str, new: str) -> None:
    text = context.paths.active_env.read_text()
    assert old in text
    context.paths.active_env.write_text(text.replace(old, new))


def test_a_first_run_deploys_reloads_and_tells(machine: Context, asked: list[object]) -> None:
    certificate.keep_certificates(machine)
    assert asked == [(("ecs.example.org",), False)]
    assert (machine.paths.certificates / "ecs.example.org.pem").is_file()
    assert [line for line in commands(machine) if "nginx" in line][1:] == [
        "nginx -t -q",
        "systemctl reload nginx.service",
    ]
    assert topics(machine) == {"certificate:ecs.example.org"}
    cast(AnsweringRunner, machine.runner).asked.clear()
    certificate.keep_certificates(machine)
    assert "nginx -t -q" not in commands(machine)


def test_nothing_is_asked_for_before_the_client_is_configured(machine: Context, asked: list[object]) -> None:
    machine.tags.set(CONVERGED, "of another environment")
    certificate.keep_certificates(machine)
    assert asked == []
    assert (machine.paths.certificates / "ecs.example.org.pem").is_file()


def test_what_became_active_meanwhile_counts(machine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: object, **__: object) -> dict[str, IssuanceState]:
        edit(machine, "domain: ecs.example.org", "domain: new.example.org")
        (machine.paths.certificates).mkdir(parents=True)
        (machine.paths.certificates / "new.example.org.pem").write_text("by Salt")
        return {}

    monkeypatch.setattr(acme, "request", request)
    certificate.keep_certificates(machine)
    assert "PRIVATE KEY" in (machine.paths.certificates / "new.example.org.pem").read_text()
    assert not (machine.paths.certificates / "ecs.example.org.pem").exists()


def test_what_nginx_still_names_stays(machine: Context, asked: list[object]) -> None:
    del asked
    machine.paths.certificates.mkdir(parents=True)
    former = machine.paths.certificates / "former.example.org.pem"
    former.write_text("x")
    certificate.keep_certificates(machine)
    assert former.exists()


def refuse(what: str) -> Callable[[list[str]], Answer]:
    return lambda argv: (1, "", "") if what in " ".join(argv) else (0, "", "")


def test_where_nginx_refuses_it_is_told_and_then_fails(machine: Context, asked: list[object]) -> None:
    del asked
    cast(AnsweringRunner, machine.runner).answer = refuse("nginx -t")
    with pytest.raises(ApplianceError):
        certificate.keep_certificates(machine)
    assert topics(machine) == {"certificate:ecs.example.org"}
    assert (machine.paths.metrics / "appliance-certificate.prom").is_file()


def test_a_flag_counts_once_and_one_set_meanwhile_too(
    machine: Context, asked: list[tuple[tuple[str, ...], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.flags.set(certificate.FORCE)
    certificate.keep_certificates(machine)
    certificate.keep_certificates(machine)
    assert [forced for _, forced in asked] == [True, False]
    requested = acme.request

    def slow(*words: object, **more: object) -> dict[str, IssuanceState]:
        monkeypatch.setattr(acme, "request", requested)
        machine.flags.set(certificate.FORCE)
        return requested(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(acme, "request", slow)
    certificate.keep_certificates(machine)
    assert [forced for _, forced in asked] == [True, False, False, True]
    assert machine.flags.get(certificate.FORCE) is None


def test_on_standby_nothing_is_wrong(machine: Context, asked: list[object]) -> None:
    certificate.keep_certificates(machine)
    edit(machine, "appliance:\n", "appliance:\n  standby: true\n")
    certificate.keep_certificates(machine)
    assert topics(machine) == set()
    assert len(asked) == 1


def test_a_masked_unit_stops_nobody(machine: Context) -> None:
    cast(AnsweringRunner, machine.runner).answer = refuse("--no-block")
    certificate.start_in_background(machine)
    assert any("--no-block" in line for line in commands(machine))


def test_without_an_environment_nothing_is_done(machine: Context, asked: list[object]) -> None:
    machine.paths.active_env.unlink()
    certificate.keep_certificates(machine)
    assert asked == [] and not machine.paths.certificates.exists()
