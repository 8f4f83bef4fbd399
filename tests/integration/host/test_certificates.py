"""What nginx is given, checked by openssl."""

import os
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.host import certificates

NAMES = ["ecs.example.org", "10.0.0.7"]


def openssl(*words: str) -> str:
    return SystemRunner().run(["openssl", *words], timeout=20).stdout


def test_self_signed_serves_its_names_and_is_made_once(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    assert certificates.ensure_self_signed(cert, key, NAMES)
    assert not certificates.ensure_self_signed(cert, key, NAMES)
    assert key.stat().st_mode & 0o777 == 0o600
    assert "match" in openssl("x509", "-in", str(cert), "-noout", "-checkip", "10.0.0.7")
    assert openssl("verify", "-CAfile", str(cert), str(cert)).strip().endswith("OK")
    assert certificates.ensure_self_signed(cert, key, ["other.example.org"])


def test_client_ca_has_a_stand_in_first_and_keeps_the_last_good_pair(tmp_path: Path) -> None:
    source, target = tmp_path / "ecs-ca", tmp_path / "nginx"
    source.mkdir()
    assert certificates.deploy_client_ca(source, target)
    assert not certificates.deploy_client_ca(source, target)
    stand_in = (target / "ca.cert.pem").read_bytes()
    real = tmp_path / "real"
    certificates.deploy_client_ca(real, real)
    for name in ("ca.cert.pem", "crl.pem"):
        (source / name).write_bytes((real / name).read_bytes())
    assert certificates.deploy_client_ca(source, target)
    good = (target / "crl.pem").read_bytes()
    assert (target / "ca.cert.pem").read_bytes() != stand_in
    for broken in (b"", good[: len(good) // 2], b"junk"):
        (source / "crl.pem").write_bytes(broken)
        assert not certificates.deploy_client_ca(source, target)
        assert (target / "crl.pem").read_bytes() == good


def test_client_ca_that_is_no_plain_file_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "ecs-ca"
    certificates.deploy_client_ca(folder, folder)
    authority = folder / "ca.cert.pem"
    good = authority.read_bytes()
    (tmp_path / "elsewhere").write_bytes(good)
    assert certificates.client_ca_is_usable(folder)
    for put in (
        lambda: authority.symlink_to(tmp_path / "elsewhere"),
        lambda: os.mkfifo(authority),
        lambda: authority.write_bytes(good + b"\n" * 1024 * 1024),
    ):
        authority.unlink()
        put()
        assert not certificates.client_ca_is_usable(folder)


def test_client_ca_of_an_unknown_kind_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "ecs-ca"
    certificates.deploy_client_ca(folder, folder)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp128r1", "-keyout", str(tmp_path / "key.pem"))
    openssl("req", "-x509", "-nodes", *curve, "-subj", "/CN=odd", "-out", str(folder / "ca.cert.pem"))
    assert not certificates.client_ca_is_usable(folder)
