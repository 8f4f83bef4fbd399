import pytest

from lab.cli.test import DEFAULT_TIERS, Tier, plan_workers, split_words


@pytest.mark.parametrize(
    ("words", "tiers", "options"),
    [
        ([], list(DEFAULT_TIERS), ["-m", "not slow"]),
        (["unit"], [Tier.UNIT], []),
        (["machine", "unit"], [Tier.MACHINE, Tier.UNIT], []),
        (["vm", "-x"], [Tier.VM], ["-x"]),
        (["-k", "unit"], list(DEFAULT_TIERS), ["-m", "not slow", "-k", "unit"]),
        (["integration", "-x", "--lf"], [Tier.INTEGRATION], ["-x", "--lf"]),
    ],
)
def test_leading_words_are_tiers_and_the_rest_is_for_pytest(
    words: list[str], tiers: list[Tier], options: list[str]
) -> None:
    assert split_words(words) == (tiers, options)


def test_a_machine_that_is_kept_is_shared_by_nobody() -> None:
    assert plan_workers(Tier.MACHINE, {}) == ["--numprocesses=2", "--dist=loadfile"]
    assert plan_workers(Tier.MACHINE, {"ECS_TEST_MACHINE": "mine"}) == []
    assert plan_workers(Tier.ENDURANCE, {}) == []
