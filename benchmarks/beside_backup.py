"""The site while a backup runs, beside the same site at rest: what its slowest pages take.

Run it on an appliance, as root, with 8 GB free in /data and in the target of its backups:
cd /app/appliance; .venv/bin/python -m benchmarks.beside_backup [--rounds 7] [--megabytes 600]
Goal: the 99th percentile of the login page at most 1.5 times that at rest.

Each round: the site at rest for as long as a backup takes, then a backup, by its unit, of so many new megabytes. Pages
are asked for at a steady pace, as people do, whether or not the one before has come.
"""

import argparse
import os
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.activate import load_active

PAGE = "/accounts/login/"
PACE, WORKERS = 0.05, 16
LIMIT = 900.0
UNIT = "appliance-backup-frequent"
LARGE = Path("/data/ecs-pgdump/bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=600)
    wanted = parser.parse_args()
    run = SystemRunner().run
    domain = load_active(Paths()).appliance.domain
    run(["systemctl", "stop", f"{UNIT}.timer"], timeout=LIMIT)
    rest: list[list[float]] = []
    beside: list[list[float]] = []
    try:
        _make_data(wanted.megabytes)
        seconds = _timed(_back_up)
        for number in range(wanted.rounds):
            _make_data(wanted.megabytes)
            os.sync()
            rest.append(_watch(domain, lambda seconds=seconds: time.sleep(seconds)))  # type: ignore[misc]
            beside.append(_watch(domain, _back_up))
            ratio = _p99(beside[-1]) / _p99(rest[-1])
            print(f"round {number + 1}: p99 {_p99(rest[-1]):.0f} → {_p99(beside[-1]):.0f} ms, {ratio:.2f}", flush=True)
    finally:
        LARGE.unlink(missing_ok=True)
        run(["systemctl", "start", f"{UNIT}.timer"], timeout=LIMIT)
    show(rest, beside, seconds)


def show(rest: list[list[float]], beside: list[list[float]], seconds: float) -> None:
    print(f"\nmedians of {len(rest)} rounds; a backup takes {seconds:.1f} s alone, a page every {PACE * 1000:.0f} ms")
    for name, found in (("at rest", rest), ("beside a backup", beside)):
        half = statistics.median(statistics.median(times) for times in found)
        most = statistics.median(map(_p99, found))
        print(f"{name:<16} median {half:6.1f} ms  p99 {most:6.1f} ms")
    ratios = sorted(_p99(one) / _p99(other) for one, other in zip(beside, rest, strict=True))
    print(f"p99, ratio       {statistics.median(ratios):.2f}  ({ratios[0]:.2f}–{ratios[-1]:.2f})")


def _watch(domain: str, work: Callable[[], None]) -> list[float]:
    """Milliseconds that pages took while `work` did its."""
    pages: list[Future[float]] = []
    ended = threading.Event()
    with ThreadPoolExecutor(WORKERS) as pool:

        def ask(due: float) -> float:
            _get(domain)
            return (time.monotonic() - due) * 1000

        def keep_asking() -> None:
            due = time.monotonic()
            while not ended.is_set():
                pages.append(pool.submit(ask, due))
                due += PACE
                time.sleep(max(due - time.monotonic(), 0))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            work()
        finally:
            ended.set()
            asking.join()
    return [page.result() for page in pages]


_own = threading.local()


def _get(domain: str) -> None:
    if not hasattr(_own, "connection"):
        # Of the certificate nothing is measured.
        trust = ssl._create_unverified_context()  # noqa: S323
        _own.connection = HTTPSConnection("127.0.0.1", timeout=30, context=trust)
    _own.connection.request("GET", PAGE, headers={"Host": domain})
    answer = _own.connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise ValueError(f"{PAGE}: {answer.status}")


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _make_data(megabytes: int) -> None:
    with LARGE.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))


def _back_up() -> None:
    SystemRunner().run(["systemctl", "start", UNIT], timeout=LIMIT)


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
