"""Compare the frontend with a bare nginx that proxies to the same backend with the same certificate.

Run it on an appliance, as root; the site is down meanwhile. Needs the Debian package wrk.
    cd /app/appliance; .venv/bin/python -m benchmarks.frontend
Goal: at least 0.9 times the requests per second with persistent connections, as medians of interleaved rounds.
"""

import re
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.activation import load_active
from ecs_appliance.tls.deployment import certificate_path

ROUNDS = 7
SECONDS = 3
CONNECTIONS = 32
PAGE_BYTES = 12_000
LIMIT = 120.0
FRONTEND, BARE, BACKEND = 443, 8443, 5000
# As www-data: besides root, only the frontend's account may connect to the application's port.
BARE_NGINX = """
user www-data;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes auto;
events {{ }}
http {{
    access_log {folder}/access.log;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    server {{
        listen 127.0.0.1:{port} ssl;
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
    }}
}}
"""
BACKEND_NGINX = """
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    types {{ text/html html; }}
    server {{ listen 127.0.0.1:{port}; root {folder}; index page.html; }}
}}
"""


@dataclass(frozen=True)
class Load:
    """Result of one run of wrk: requests per second, and the 99th percentile of the latency in ms."""

    rate: float
    p99: float


def main() -> None:
    domain = load_active(Paths()).appliance.domain
    ways = {"kept connections": (), "a new one each": ("-H", "Connection: close")}
    seen: dict[tuple[str, int], list[Load]] = {(way, port): [] for way in ways for port in (FRONTEND, BARE)}
    with tempfile.TemporaryDirectory() as name, _stage(Path(name), domain):
        for number in range(ROUNDS):
            for (way, port), loads in sorted(seen.items(), reverse=bool(number % 2)):
                loads.append(measure(domain, port, ways[way]))
    print(f"{ROUNDS} rounds of {SECONDS} s, interleaved, {CONNECTIONS} connections, pages of {PAGE_BYTES} bytes")
    for way in ways:
        show(way, seen[way, FRONTEND], seen[way, BARE])


def measure(domain: str, port: int, options: tuple[str, ...]) -> Load:
    """Measure the server at `port`; raise ValueError if it refused any request."""
    words = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", f"Host: {domain}", *options]
    said = SystemRunner().run([*words, f"https://127.0.0.1:{port}/"], timeout=LIMIT).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise ValueError(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate and p99, said
    return Load(float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]])


def show(way: str, ours: list[Load], bare: list[Load]) -> None:
    """Print medians, ranges, and the ratio of the rates."""
    for name, loads in (("frontend", ours), ("bare nginx", bare)):
        rates, p99s = [load.rate for load in loads], [load.p99 for load in loads]
        print(
            f"{way:<17} {name:<11} {statistics.median(rates):7.0f}/s  ({min(rates):.0f}–{max(rates):.0f})"
            f"  p99 {statistics.median(p99s):6.2f} ms  ({min(p99s):.2f}–{max(p99s):.2f})"
        )
    ratio = statistics.median(load.rate for load in ours) / statistics.median(load.rate for load in bare)
    print(f"{way:<17} ratio       {ratio:7.2f}")


@contextmanager
def _stage(folder: Path, domain: str) -> Iterator[None]:
    """Run the backend in place of the application, and the bare nginx."""
    run = SystemRunner().run
    run(["systemctl", "stop", "appliance"], timeout=LIMIT)
    try:
        (Paths().www / "503.html").unlink(missing_ok=True)
        certificate = certificate_path(Paths(), domain)
        bare = BARE_NGINX.format(folder=folder / "bare", certificate=certificate, port=BARE, backend=BACKEND)
        backend = BACKEND_NGINX.format(folder=folder / "backend", port=BACKEND)
        folder.chmod(0o755)
        with _nginx(folder / "backend", backend), _nginx(folder / "bare", bare):
            yield
    finally:
        run(["systemctl", "start", "appliance"], timeout=10 * LIMIT)


@contextmanager
def _nginx(folder: Path, text: str) -> Iterator[None]:
    folder.mkdir()
    (folder / "page.html").write_text("x" * PAGE_BYTES)
    file = folder / "nginx.conf"
    file.write_text(text)
    run = SystemRunner().run
    run(["nginx", "-c", file], timeout=LIMIT)
    try:
        yield
    finally:
        run(["nginx", "-c", file, "-s", "stop"], timeout=LIMIT)


if __name__ == "__main__":
    main()
