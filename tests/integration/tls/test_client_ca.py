"""What nginx is given, checked by openssl."""

import os
from pathlib import Path

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.tls.client_ca import client_ca_is_usable, deploy_client_ca


def openssl(*words: str) -> str:
    return SystemRunner().run(["openssl", *words], timeout=20).stdout


def test_client_ca_has_a_stand_in_first_and_keeps_the_last_good_pair(tmp_path: Path) -> None:
    source, target = tmp_path / "ecs-ca", tmp_path / "nginx"
    source.mkdir()
    assert deploy_client_ca(source, target)
    assert not deploy_client_ca(source, target)
    stand_in = (target / "ca.cert.pem").read_bytes()
    real = tmp_path / "real"
    deploy_client_ca(real, real)
    for name in ("ca.cert.pem", "crl.pem"):
        (source / name).write_bytes((real / name).read_bytes())
    assert deploy_client_ca(source, target)
    good = (target / "crl.pem").read_bytes()
    assert (target / "ca.cert.pem").read_bytes() != stand_in
    for broken in (b"", good[: len(good) // 2], b"junk"):
        (source / "crl.pem").write_bytes(broken)
        assert not deploy_client_ca(source, target)
        assert (target / "crl.pem").read_bytes() == good


def test_client_ca_that_is_no_plain_file_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "ecs-ca"
    deploy_client_ca(folder, folder)
    authority = folder / "ca.cert.pem"
    good = authority.read_bytes()
    (tmp_path / "elsewhere").write_bytes(good)
    assert client_ca_is_usable(folder)
    for put in (
        lambda: authority.symlink_to(tmp_path / "elsewhere"),
        lambda: os.mkfifo(authority),
        lambda: authority.write_bytes(good + b"\n" * 1024 * 1024),
    ):
        authority.unlink()
        put()
        assert not client_ca_is_usable(folder)


def test_client_ca_of_an_unknown_kind_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "ecs-ca"
    deploy_client_ca(folder, folder)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp128r1", "-keyout", str(tmp_path / "key.pem"))
    openssl("req", "-x509", "-nodes", *curve, "-subj", "/CN=odd", "-out", str(folder / "ca.cert.pem"))
    assert not client_ca_is_usable(folder)
