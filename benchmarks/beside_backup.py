"""Compare the slowest pages of the site while a backup runs with those of the same site at rest.

Run it on an appliance, as root, with 8 GB free in /data and in the target of its backups:
cd /app/appliance; .venv/bin/python -m benchmarks.beside_backup [--rounds 12] [--megabytes 600]
Goal: the 99th percentile of the login page at most 1.5 times that at rest.

Each round measures the site three times: at rest, for as long as a backup takes; next to one loop of the lowest
priority (SCHED_IDLE) per core, the least that any work costs on this machine; and during a backup, run by its unit, of
the given number of new megabytes. Pages are requested at a steady pace, as by people, even if the previous one has not
arrived. All rounds together are one sample.
"""

import argparse
import os
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.activation import load_active

PAGE = "/accounts/login/"
PACE, WORKERS = 0.025, 16
LIMIT = 900.0
UNIT = "appliance-backup-frequent"
LARGE = Path("/data/ecs-pgdump/bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="number of rounds (default: %(default)s)")
    parser.add_argument(
        "--megabytes", type=int, default=600, help="new data for each backup, in MB (default: %(default)s)"
    )
    wanted = parser.parse_args()
    run = SystemRunner().run
    domain = load_active(Paths()).appliance.domain
    run(["systemctl", "stop", f"{UNIT}.timer"], timeout=LIMIT)
    try:
        _make_data(wanted.megabytes)
        seconds = _timed(_back_up)
        works: dict[str, Callable[[], None]] = {
            "at rest": partial(time.sleep, seconds),
            "beside idle loops": partial(_loop, seconds),
            "beside a backup": _back_up,
        }
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(wanted.rounds):
            _make_data(wanted.megabytes)
            os.sync()
            for name, work in works.items():
                taken[name] += _watch(domain, work)
    finally:
        LARGE.unlink(missing_ok=True)
        run(["systemctl", "start", f"{UNIT}.timer"], timeout=LIMIT)
    print(f"{wanted.rounds} rounds; a backup takes {seconds:.1f} s, a page is asked for every {PACE * 1000:.0f} ms")
    for name, times in taken.items():
        ratio = _p99(times) / _p99(taken["at rest"])
        print(f"{name:<18} median {statistics.median(times):6.1f} ms  p99 {_p99(times):6.1f} ms  ratio {ratio:.2f}")


def _loop(seconds: float) -> None:
    """Keep each core busy with processes of the lowest priority."""
    loop = f"timeout {seconds} sh -c 'while :; do :; done'"
    script = f"for core in $(seq $(nproc)); do chrt --idle 0 {loop} & done; wait"
    SystemRunner().run(["sh", "-c", script], timeout=LIMIT)


def _watch(domain: str, work: Callable[[], None]) -> list[float]:
    """Return the milliseconds that pages took during `work`."""
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
        # The certificate does not matter here.
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
