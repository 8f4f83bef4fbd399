"""Findings of TLS scanners: nothing above "info" except those listed here, each with its reason."""

import json
from pathlib import Path

import pytest

from ecs_appliance.core.runner import SystemRunner
from tests.machine.frontend.conftest import SCAN, Site
from tests.machine.frontend.wire import DOMAIN
from tests.machine.locked import provide

REQUIREMENTS = Path(__file__).with_name("sslyze.txt")
SCAN_SECONDS = 300
# Findings of testssl.sh that are not faults of the frontend.
EXPLAINED = {
    "engine_problem": "of the scanner's own OpenSSL: it cannot speak GOST",
}


@pytest.fixture(scope="module")
def sslyze() -> Path:
    """The path of the scanner."""
    return provide(REQUIREMENTS) / "sslyze"


def test_sslyze_finds_mozillas_intermediate_configuration(mandatory: Site, sslyze: Path, tmp_path: Path) -> None:
    report = tmp_path / "sslyze.json"
    words: list[str | Path] = [
        "--mozilla_config",
        "intermediate",
        "--certinfo_ca_file",
        mandatory.frontend.trust,
        "--json_out",
        report,
    ]
    target = [f"--sni={DOMAIN}", f"{mandatory.demo.address}:443"]
    said = SystemRunner().run([sslyze, *words, *target], timeout=SCAN_SECONDS, ok=range(256))
    assert said.returncode == 0, said.stdout
    results = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    protocols = {
        name: bool(results[f"{name}_cipher_suites"]["result"]["accepted_cipher_suites"])
        for name in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
    }
    assert [name for name, accepted in protocols.items() if accepted] == ["tls_1_2", "tls_1_3"]


@pytest.mark.slow
def test_testssl_finds_nothing(site: Site, scan: None) -> None:
    wait = f"timeout {SCAN_SECONDS} sh -c 'while systemctl is-active --quiet testssl; do sleep 1; done'"
    findings = json.loads(site.demo.sh(f"{wait}; cat {SCAN}/report.json", timeout=SCAN_SECONDS))
    assert len(findings) > 100
    serious = {found["id"]: found["finding"] for found in findings if found["severity"] not in ("OK", "INFO")}
    assert {name: said for name, said in serious.items() if name not in EXPLAINED} == {}
    offered = {found["id"]: found["finding"] for found in findings}
    for protocol in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert offered[protocol] == "not offered"
    for protocol in ("TLS1_2", "TLS1_3"):
        assert offered[protocol].startswith("offered")
