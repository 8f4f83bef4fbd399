import pytest

from ecs_appliance.cli.test import Tier, split_words


@pytest.mark.parametrize(
    ("words", "tiers", "options"),
    [
        ([], list(Tier), []),
        (["unit"], [Tier.UNIT], []),
        (["machine", "unit"], [Tier.MACHINE, Tier.UNIT], []),
        (["vm", "-x"], [Tier.VM], ["-x"]),
        (["-k", "unit"], list(Tier), ["-k", "unit"]),
        (["integration", "-x", "--lf"], [Tier.INTEGRATION], ["-x", "--lf"]),
    ],
)
def test_leading_words_are_tiers_and_the_rest_is_for_pytest(
    words: list[str], tiers: list[Tier], options: list[str]
) -> None:
    assert split_words(words) == (tiers, options)
