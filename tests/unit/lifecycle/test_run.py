"""When deaths of containers are a crash loop."""

from ecs_appliance.lifecycle.run import CRASH_WINDOW, CRASHES, CrashLoop


def test_single_deaths_are_none() -> None:
    loop = CrashLoop()
    assert not any(loop.note({"web": number}, now=number * CRASH_WINDOW / 2) for number in range(20))


def test_many_within_the_window_are_one() -> None:
    loop = CrashLoop()
    verdicts = [loop.note({"web": number, "worker": 0}, now=float(number)) for number in range(CRASHES + 1)]
    assert verdicts == [None] * CRASHES + ["web"]


def test_single_deaths_of_many_containers_are_none() -> None:
    loop = CrashLoop()
    assert loop.note({f"container {number}": 1 for number in range(CRASHES + 1)}, now=0.0) is None


def test_a_container_made_anew_starts_at_none() -> None:
    loop = CrashLoop()
    loop.note({"web": 3}, now=0.0)
    assert not loop.note({"web": 0}, now=1.0)
    assert not loop.note({"web": 1}, now=2.0)
