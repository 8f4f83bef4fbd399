"""Which certificate is served: given, issued by ACME, self-signed, in this order, each only if it is good."""

import base64
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ecs_appliance.core.paths import Paths
from ecs_appliance.tls.credentials import Credentials, CredentialsError, read_credentials
from ecs_appliance.tls.deployment import (
    Deployment,
    apply_deployment,
    certificate_path,
    plan_deployment,
    stale_certificates,
)
from ecs_appliance.tls.selection import Selection, Wanted, select, wanted
from ecs_appliance.tls.snakeoil import ensure_snakeoil
from tests.authorities import Authority

NAME = "www.example.org"
ROOT = Authority("root")
MIDDLE = Authority("middle", parent=ROOT)
# Acceptable long ago.
WEAK = MIDDLE.server(NAME, key=rsa.generate_private_key(65537, 1024))  # noqa: S505


@pytest.fixture(scope="module")
def snakeoil(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return ensure_snakeoil(Paths(tmp_path_factory.mktemp("snakeoil")), (NAME,))


def given(key: str, chain: str) -> Wanted:
    return wanted((NAME,), key, chain, acme=True)


def test_a_given_certificate_comes_first_and_acme_is_not_asked(snakeoil: Credentials) -> None:
    want = given(*MIDDLE.server(NAME))
    issued = read_credentials(*MIDDLE.server(NAME))
    chosen = select(NAME, want, issued=issued, snakeoil=snakeoil)
    assert (chosen.source, chosen.refused, want.acme) == ("given", "", False)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (MIDDLE.server(NAME, days=(-90, -1)), "certificate 1 expired on"),
        (MIDDLE.server(NAME, days=(1, 90)), "certificate 1 is not valid before"),
        ((MIDDLE.server(NAME)[0], MIDDLE.server(NAME)[1]), "does not match this private key"),
        (WEAK, "servers cannot use it: ee key too small"),
        ((MIDDLE.server(NAME)[0], "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is damaged"),
    ],
)
def test_a_given_certificate_that_nobody_would_accept_is_refused_with_the_reason_and_acme_is_asked(
    pair: tuple[str, str], reason: str, snakeoil: Credentials
) -> None:
    want = given(*pair)
    assert reason in want.refused
    assert want.acme
    assert select(NAME, want, issued="none yet", snakeoil=snakeoil).source == "snakeoil"
    issued = read_credentials(*MIDDLE.server(NAME))
    assert select(NAME, want, issued=issued, snakeoil=snakeoil).source == "acme"


def test_a_reordered_chain_is_refused() -> None:
    key, chain = MIDDLE.server(NAME)
    blocks = [f"{block}-----END CERTIFICATE-----\n" for block in chain.split("-----END CERTIFICATE-----\n")[:-1]]
    leaf, middle, root = blocks
    assert read_credentials(key, leaf + middle + root).covers(NAME)
    for wrong in (leaf + root + middle, leaf + leaf + middle, leaf + root):
        with pytest.raises(CredentialsError, match="not in order"):
            read_credentials(key, wrong)


@pytest.mark.parametrize(
    ("days", "source"),
    [
        ((-60, 30), "acme"),
        ((-89, 1.1), "acme"),
        ((-89, 0.9), "snakeoil"),
        ((-90, -1), "snakeoil"),
        ((1, 90), "snakeoil"),
        # a private CA whose certificates are valid for a day
        ((-0.5, 0.5), "acme"),
        ((-0.95, 0.05), "snakeoil"),
    ],
)
def test_a_certificate_by_acme_is_served_until_shortly_before_its_end(
    days: tuple[float, float], source: str, snakeoil: Credentials
) -> None:
    issued = read_credentials(*ROOT.server(NAME, days=days))
    chosen = select(NAME, wanted((NAME,), "", "", acme=True), issued=issued, snakeoil=snakeoil)
    assert chosen.source == source
    assert bool(chosen.refused) == (source == "snakeoil")


def test_without_acme_a_certificate_of_before_is_not_served(snakeoil: Credentials) -> None:
    issued = read_credentials(*ROOT.server(NAME))
    chosen = select(NAME, wanted((NAME,), "", "", acme=False), issued=issued, snakeoil=snakeoil)
    assert (chosen.source, chosen.refused) == ("snakeoil", "")


@pytest.mark.parametrize(
    ("names", "asked", "covered"),
    [
        ((NAME,), NAME, True),
        ((NAME,), NAME.upper(), True),
        (("*.example.org",), NAME, True),
        (("*.example.org",), "a.b.example.org", False),
        (("192.0.2.1",), "192.0.2.1", True),
        (("2001:db8::1",), "[2001:db8::1]", True),
        (("192.0.2.1",), "192.0.2.2", False),
    ],
)
def test_names_are_covered_as_clients_see_it(names: tuple[str, ...], asked: str, covered: bool) -> None:
    assert read_credentials(*ROOT.server(*names)).covers(asked) is covered


def put_issued(paths: Paths, name: str, pair: tuple[str, str]) -> None:
    folder = paths.acme / "certs" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in zip(("privkey-1.pem", "fullchain-1.pem"), pair, strict=True):
        (folder / file).write_text(text)


def test_each_name_has_a_file_of_its_own_and_one_without_certificate_blocks_no_other(tmp_path: Path) -> None:
    paths, names = Paths(tmp_path), (NAME, "other.example.org", "*.example.net")
    snakeoil = ensure_snakeoil(paths, names)
    put_issued(paths, "other.example.org", ROOT.server("other.example.org"))
    deployment = plan_deployment(paths, wanted(names, "", "", acme=True), snakeoil)
    assert [each.source for each in deployment.selections] == ["snakeoil", "acme", "snakeoil"]
    assert apply_deployment(deployment)
    assert not apply_deployment(plan_deployment(paths, wanted(names, "", "", acme=True), snakeoil))
    for name in names:
        file = certificate_path(paths, name)
        assert file.stat().st_mode & 0o777 == 0o600
        assert "PRIVATE KEY" in file.read_text()
    assert "PRIVATE KEY" not in paths.server_certificate.read_text()
    assert [file.name for file in stale_certificates(paths, (NAME,))] == ["_.example.net.pem", "other.example.org.pem"]


def test_a_name_as_long_as_names_can_be_has_a_file_that_can_be_replaced(tmp_path: Path) -> None:
    paths, name = Paths(tmp_path), ".".join(["a" * 60] * 4)
    for days in (1, 2):
        chosen = Selection(name, "given", read_credentials(*ROOT.server("x", days=(-1, days))))
        assert apply_deployment(Deployment((), {certificate_path(paths, name): (chosen.credentials.pem, 0o600)}))


def test_what_the_account_app_puts_in_its_folder_is_never_taken_on_trust(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    snakeoil = ensure_snakeoil(paths, (NAME,))
    want = wanted((NAME,), "", "", acme=True)
    secret = tmp_path / "shadow"
    secret.write_text("root:secret\n")
    put_issued(paths, NAME, ROOT.server(NAME))
    chain = paths.acme / "certs" / NAME / "fullchain-1.pem"
    chain.unlink()
    chain.symlink_to(secret)
    for reason in ("cannot be read", "cannot be used", "for a different name"):
        chosen = plan_deployment(paths, want, snakeoil).selections[0]
        assert (chosen.source, reason in chosen.refused, "secret" in chosen.refused) == ("snakeoil", True, False)
        chain.unlink(missing_ok=True)
        if reason == "cannot be read":
            chain.write_text("junk")
        else:
            put_issued(paths, NAME, ROOT.server("elsewhere.example.org"))


def odd_certificates() -> list[bytes]:
    """Return certificates that can be parsed, although parts of them cannot."""
    chain = ROOT.server(NAME)[1]
    der = x509.load_pem_x509_certificate(chain.encode()).public_bytes(Encoding.DER)
    version = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020108"))
    names = der.replace(b"\x82\x0fwww", b"\xa3\x0fwww")
    curve = der.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030199"))
    assert der not in (version, names, curve)
    return [version, names, curve]


@pytest.mark.parametrize("der", odd_certificates())
def test_no_certificate_is_more_than_refused(der: bytes) -> None:
    text = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    with pytest.raises(CredentialsError):
        read_credentials(ROOT.server(NAME)[0], text)


def test_a_file_full_of_beginnings_takes_no_time() -> None:
    began = time.monotonic()
    with pytest.raises(CredentialsError, match="cut off"):
        read_credentials("-----BEGIN A-----\n" * 14_000, "")
    assert time.monotonic() - began < 10


def test_the_first_end_within_a_chain_is_its_end() -> None:
    short = Authority("short", parent=ROOT, days=(-400, 5))
    credentials = read_credentials(*short.server(NAME, days=(-1, 90)))
    assert credentials.expires == short.certificate.not_valid_after_utc


def test_a_self_signed_certificate_is_made_once_for_its_names(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    first = ensure_snakeoil(paths, (NAME, "10.0.0.7"))
    assert ensure_snakeoil(paths, (NAME, "10.0.0.7")).chain == first.chain
    assert ensure_snakeoil(paths, (NAME,)).chain != first.chain
    assert (paths.nginx / "snakeoil.key.pem").stat().st_mode & 0o777 == 0o600
