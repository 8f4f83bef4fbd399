"""Lines missing from locale.gen: those the appliance needs are added, the machine's own are kept."""

from pathlib import Path

from ecs_appliance.core.paths import Paths
from ecs_appliance.host.locales import add_lines, default_locales, missing_lines, plan_locales

SUPPORTED = "de_AT.UTF-8 UTF-8\nde_AT ISO-8859-1\nde_AT@euro ISO-8859-15\nde_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\n"
NEEDED = ("de_DE.UTF-8", "en_US.UTF-8")


def test_a_new_list_gets_all_of_them() -> None:
    assert missing_lines(NEEDED, SUPPORTED, "") == ["de_DE.UTF-8 UTF-8", "en_US.UTF-8 UTF-8"]


def test_only_what_is_not_listed() -> None:
    assert missing_lines(NEEDED, SUPPORTED, "# de_DE.UTF-8 UTF-8\nen_US.UTF-8  UTF-8\n") == ["de_DE.UTF-8 UTF-8"]


def test_names_are_compared_as_the_library_does() -> None:
    assert missing_lines(["de_AT.utf8", "de_AT@euro"], SUPPORTED, "") == ["de_AT.UTF-8 UTF-8", "de_AT@euro ISO-8859-15"]
    assert missing_lines(["de_AT"], SUPPORTED, "") == ["de_AT ISO-8859-1"]
    assert missing_lines(["de_DE.utf8"], SUPPORTED, "de_DE.UTF-8 UTF-8\n") == []


def test_built_in_and_unknown_ones_need_no_line() -> None:
    assert missing_lines(["C.UTF-8", "POSIX", "", "xx_XX.UTF-8"], SUPPORTED, "") == []


def test_what_the_machine_is_set_to() -> None:
    text = '# comment\nLANG=de_AT.UTF-8\nLANGUAGE="de_AT:de"\nexport LC_TIME="en_DK.UTF-8"\nLC_ALL=\n'
    assert default_locales(text) == ["de_AT.UTF-8", "en_DK.UTF-8"]


def test_the_machines_own_are_kept_and_added(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for name, text in {
        "/usr/share/i18n/SUPPORTED": SUPPORTED,
        "/etc/default/locale": "LANG=de_AT.UTF-8\n",
        "/etc/locale.gen": "# of its own\nde_AT@euro ISO-8859-15",
    }.items():
        paths.at(name).parent.mkdir(parents=True, exist_ok=True)
        paths.at(name).write_text(text)
    add_lines(paths, plan_locales(paths, NEEDED))
    assert paths.at("/etc/locale.gen").read_text().splitlines() == [
        "# of its own",
        "de_AT@euro ISO-8859-15",
        "de_DE.UTF-8 UTF-8",
        "en_US.UTF-8 UTF-8",
        "de_AT.UTF-8 UTF-8",
    ]
    assert plan_locales(paths, NEEDED) == []
