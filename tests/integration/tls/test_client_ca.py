"""Check with openssl what nginx is given."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.tls.client_ca import (
    ClientCAError,
    MissingClientCAError,
    client_ca_is_current,
    current_client_ca,
    deploy_client_ca,
    read_client_ca,
)
from tests.authorities import Authority, pem

OURS = Authority("client CA")
SERIAL = 4711


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the folder of an application that has revoked something."""
    folder = tmp_path / "ecs-ca"
    put(folder, OURS, OURS.revocation_list(SERIAL))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "nginx"


def put(folder: Path, authority: Authority, revoked: str) -> None:
    """Write the files as the application does: one after the other, in place."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.cert.pem").write_text(pem(authority.certificate))
    (folder / "crl.pem").write_text(revoked)


def openssl(*words: str | Path) -> str:
    return SystemRunner().run(["openssl", *words], timeout=20).stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_before_the_application_has_one_there_is_a_stand_in(tmp_path: Path, target: Path) -> None:
    assert deploy_client_ca(tmp_path / "nothing", target)
    assert not deploy_client_ca(tmp_path / "nothing", target)
    current = current_client_ca(target)
    assert current is not None
    assert current.is_placeholder
    with pytest.raises(MissingClientCAError):
        read_client_ca(tmp_path / "nothing")


def test_openssl_reads_what_nginx_is_given(source: Path, target: Path) -> None:
    assert deploy_client_ca(source, target)
    assert openssl("verify", "-crl_check", "-CAfile", target / "trusted.pem", target / "ca.cert.pem").endswith("OK\n")
    for name in ("trusted.pem", "crl.pem"):
        assert "Serial Number: 1267" in openssl("crl", "-in", target / name, "-noout", "-text")
    assert client_ca_is_current(source, target)
    assert not deploy_client_ca(source, target)


def test_what_else_the_application_writes_into_the_files_does_not_reach_nginx(source: Path, target: Path) -> None:
    deploy_client_ca(source, target)
    before = contents(target)
    stranger = pem(Authority("stranger").certificate)
    authority = source / "ca.cert.pem"
    authority.write_text(
        f"Certificate:\n    Data:\n{authority.read_text()}\n{stranger}\n-----BEGIN CERTIFICATE-----\nx\n"
    )
    assert not deploy_client_ca(source, target)
    assert contents(target) == before


LISTS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "half-written": lambda: OURS.revocation_list(SERIAL)[:200],
    "junk": lambda: "junk",
    "expired": lambda: OURS.revocation_list(days=(-30, -1)),
    "not valid yet": lambda: OURS.revocation_list(days=(1, 30)),
    "of another CA": lambda: Authority("client CA").revocation_list(),
    "of another name": lambda: Authority("another").revocation_list(),
    "a certificate": lambda: pem(OURS.certificate),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_bad_list_leaves_the_last_good_pair(source: Path, target: Path, kind: str) -> None:
    deploy_client_ca(source, target)
    before = contents(target)
    (source / "crl.pem").write_text(LISTS[kind]())
    with pytest.raises(ClientCAError):
        read_client_ca(source)
    assert client_ca_is_current(source, target)
    assert not deploy_client_ca(source, target)
    assert contents(target) == before
    put(source, OURS, OURS.revocation_list(SERIAL, 4712))
    assert deploy_client_ca(source, target)


@pytest.mark.parametrize("days", [(-400, -1), (1, 400)], ids=["expired", "not valid yet"])
def test_a_ca_out_of_its_time_leaves_the_last_good_pair(source: Path, target: Path, days: tuple[float, float]) -> None:
    deploy_client_ca(source, target)
    before = contents(target)
    other = Authority("client CA", days=days)
    put(source, other, other.revocation_list())
    assert not deploy_client_ca(source, target)
    assert contents(target) == before


def test_a_client_certificate_is_no_ca(source: Path) -> None:
    (source / "ca.cert.pem").write_text(OURS.server("a.example.org")[1])
    with pytest.raises(ClientCAError):
        read_client_ca(source)


def test_what_is_no_plain_file_is_not_read(source: Path, tmp_path: Path) -> None:
    authority = source / "ca.cert.pem"
    good = authority.read_bytes()
    (tmp_path / "elsewhere").write_bytes(good)
    read_client_ca(source)
    for put_there in (
        lambda: authority.symlink_to(tmp_path / "elsewhere"),
        lambda: os.mkfifo(authority),
        lambda: authority.write_bytes(good + b"\n" * 16 * 1024 * 1024),
    ):
        authority.unlink()
        put_there()
        with pytest.raises(ClientCAError):
            read_client_ca(source)


def test_a_ca_of_an_unknown_kind_is_none(source: Path, tmp_path: Path) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp128r1", "-keyout", str(tmp_path / "key.pem"))
    openssl("req", "-x509", "-nodes", *curve, "-subj", "/CN=client CA", "-out", str(source / "ca.cert.pem"))
    with pytest.raises(ClientCAError):
        read_client_ca(source)


def test_cut_off_anywhere_nginx_has_a_whole_pair_and_the_next_run_ends_it(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_client_ca(source, target)
    old = contents(target)
    other = Authority("another client CA")
    put(source, other, other.revocation_list())
    for writes in (0, 1, 1, 0):
        with monkeypatch.context() as patch:
            cut_off_after(writes, patch)
            with pytest.raises(KeyboardInterrupt):
                deploy_client_ca(source, target)
        current = current_client_ca(target)
        assert current is not None
        assert current.pem in (old["trusted.pem"], read_client_ca(source).pem)
        assert not client_ca_is_current(source, target)
    assert deploy_client_ca(source, target)
    assert client_ca_is_current(source, target)


def cut_off_after(writes: int, patch: pytest.MonkeyPatch) -> None:
    """Make the process die when it is about to write once more."""
    left = [writes]
    replace = Path.replace

    def count(self: Path, other: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return replace(self, other)

    patch.setattr(Path, "replace", count)


def test_an_application_that_never_stops_writing_keeps_nobody_busy(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time nginx gets a file, it writes another valid list."""
    deploy_client_ca(source, target)
    (source / "crl.pem").write_text(OURS.revocation_list(4999))
    serials = iter(range(5000, 5100))
    replace = Path.replace

    def replace_and_revoke(self: Path, other: Path) -> Path:
        done = replace(self, other)
        if target in Path(other).parents:
            (source / "crl.pem").write_text(OURS.revocation_list(next(serials)))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_and_revoke)
        assert deploy_client_ca(source, target)
    assert next(serials) > 5001
    assert deploy_client_ca(source, target)
    assert client_ca_is_current(source, target)
