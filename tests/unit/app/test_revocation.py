"""Wait until nginx refuses what was revoked, and suggest the next step if it does not."""

import datetime
from collections.abc import Collection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecs_appliance.app import revocation
from ecs_appliance.core.content_stamps import contents_digest, mark_applied
from ecs_appliance.core.errors import DeadlineError, ExitCode
from ecs_appliance.core.paths import Paths
from ecs_appliance.host.nginx import CLIENT_CA
from tests.fakes import AnsweringRunner
from tests.unit.app.application import Application

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
STOPPED = AnsweringRunner(lambda _: (0, "MainPID=0\n", ""))


def crl(serials: Collection[int]) -> bytes:
    """Return a revocation list with `serials`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    made = x509.CertificateRevocationListBuilder(name, NOW, NOW + datetime.timedelta(days=1))
    for serial in serials:
        made = made.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, NOW).build())
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Return a machine whose application and nginx know that 1 is revoked, with a short timeout."""
    monkeypatch.setattr(revocation, "SECONDS", 0.1)
    paths = Paths(tmp_path)
    for folder in (paths.ecs_ca, paths.client_ca):
        folder.mkdir(parents=True)
        (folder / "crl.pem").write_bytes(crl([1]))
    return paths


def test_what_nginx_has_is_refused_at_once(paths: Paths) -> None:
    assert revocation.await_refusal(paths, STOPPED, [1], former=[]) < 0.1


@pytest.mark.parametrize(
    ("own", "deployed", "problem", "remedy"),
    [
        ([1], [1], "/app/ecs-ca/crl.pem", "systemctl restart appliance"),
        ([1, 2], [1], "/etc/nginx/client-ca/crl.pem", "systemctl start watch-ecs-ca"),
    ],
)
def test_what_did_not_arrive_has_a_remedy(
    paths: Paths, own: list[int], deployed: list[int], problem: str, remedy: str
) -> None:
    (paths.ecs_ca / "crl.pem").write_bytes(crl(own))
    (paths.client_ca / "crl.pem").write_bytes(crl(deployed))
    with pytest.raises(DeadlineError, match="still accepted") as caught:
        revocation.await_refusal(paths, STOPPED, [1, 2], former=[])
    assert problem in caught.value.message
    assert remedy in caught.value.hint
    assert caught.value.exit_code == ExitCode.TIMEOUT


def test_old_workers_do_not_refuse(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_used(paths)
    workers = [frozenset({11}), frozenset({11, 12}), frozenset({12})]
    monkeypatch.setattr(revocation, "serving_workers", lambda _: workers.pop(0) if len(workers) > 1 else workers[0])
    revocation.await_refusal(paths, STOPPED, [1], former={11})
    assert workers == [frozenset({12})]
    with pytest.raises(DeadlineError) as caught:
        revocation.await_refusal(paths, STOPPED, [1], former={12})
    assert "systemctl reload nginx" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no list", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_a_list_that_cannot_be_read_lists_nothing(paths: Paths, content: bytes) -> None:
    (paths.client_ca / "crl.pem").write_bytes(content)
    assert revocation.revoked_serials(paths.client_ca / "crl.pem") == set()
    assert revocation.revoked_serials(paths.client_ca / "nothing") == set()


def test_a_list_that_leads_elsewhere_is_not_followed(paths: Paths) -> None:
    file = paths.ecs_ca / "crl.pem"
    file.unlink()
    file.symlink_to(paths.client_ca / "crl.pem")
    assert revocation.revoked_serials(file) == set()


def mark_used(paths: Paths) -> None:
    """Record that nginx has loaded its current list."""
    mark_applied(paths, CLIENT_CA.name, contents_digest(list(CLIENT_CA.files), paths.root))


def test_workers_of_a_reload_in_between_do_not_refuse_either(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def serving(_: object) -> frozenset[int]:
        looks.append(1)
        if len(looks) == 3:
            (paths.client_ca / "crl.pem").write_bytes(crl([1, 2]))
            mark_used(paths)
        return frozenset({13} if len(looks) > 6 else {12})

    monkeypatch.setattr(revocation, "serving_workers", serving)
    monkeypatch.setattr(revocation, "SECONDS", 5)
    (paths.ecs_ca / "crl.pem").write_bytes(crl([1, 2]))
    revocation.await_refusal(paths, STOPPED, [2], former={11})
    assert len(looks) == 7


def test_one_revoked_before_counts_only_where_nginx_has_the_list_in_use(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "serving_workers", lambda _: frozenset({11}))
    when = "2026-01-01T00:00:00+00:00"
    told = {"name": "a", "user": "a@x.org", "serial": 1, "created": when, "expires": when, "revoked": when}
    application = Application({"certificates": [told], "new": []})
    with pytest.raises(DeadlineError) as caught:
        revocation.revoke_and_wait(application, paths, STOPPED, ["a"])
    assert "systemctl reload nginx" in caught.value.hint
    mark_used(paths)
    (revoked,), seconds = revocation.revoke_and_wait(application, paths, STOPPED, ["a"])
    assert not revoked.new
    assert seconds < 0.1
    with pytest.raises(DeadlineError):
        revocation.revoke_and_wait(Application({"certificates": [told], "new": ["a"]}), paths, STOPPED, ["a"])
