"""All problems of a file are reported at once; each fixture is a file with its exact report."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecs_appliance.core.errors import InvalidEnvError
from ecs_appliance.env.check import check, load
from ecs_appliance.env.decoding import LARGEST
from ecs_appliance.env.diagnostics import report

FIXTURES = Path(__file__).parents[2] / "fixtures/env"
BROKEN = sorted(FIXTURES.glob("broken/*.yml"))
ACCEPTED = sorted(FIXTURES.glob("accepted/*.yml"))
SMALLEST = (FIXTURES / "accepted/smallest.yml").read_bytes()
STANDBY = "#cloud-config\nappliance:\n  standby: true\n"


def told(file: Path, *, strict: bool = False) -> str:
    text = report(check(file.read_bytes(), strict=strict).problems, file.name)
    return f"{text}\n" if text else ""


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_file_is_refused_with_its_report(file: Path) -> None:
    assert not check(file.read_bytes()).ok
    assert told(file) == file.with_suffix(".report").read_text()


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_an_odd_file_is_accepted_with_its_report(file: Path) -> None:
    assert check(file.read_bytes()).ok
    assert told(file) == file.with_suffix(".report").read_text()


def test_there_are_enough_broken_files() -> None:
    assert len(BROKEN) > 40


@pytest.mark.parametrize("file", [*BROKEN, *ACCEPTED], ids=lambda file: file.stem)
def test_no_report_holds_a_secret(file: Path) -> None:
    lines = file.read_bytes().decode(errors="replace").splitlines()
    material = {line.strip() for line in lines if len(line.strip()) == 64 or "not-a-secret" in line}
    text = told(file)
    assert "not-a-secret" not in text
    assert not any(line in text for line in material)


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_strict_makes_warnings_errors(file: Path) -> None:
    assert check(file.read_bytes(), strict=True).ok == (told(file) == "")


def test_a_file_of_ten_megabytes_is_refused_at_once() -> None:
    checked = check(SMALLEST + b"# x\n" * 2_500_000)
    assert [problem.message for problem in checked.problems] == ["larger than 1024 KiB: this is not an env.yml"]


def test_the_largest_file_is_read() -> None:
    assert check(SMALLEST + b"#" * (LARGEST - len(SMALLEST))).ok


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("appliance:\n  password: *hunter2hunter2\n", "an alias without an anchor"),
        ("appliance:\n  password: !hunter2hunter2 x\n", "tags are not supported"),
        ("appliance:\n  password: @hunter2hunter2\n", "text that begins with"),
        ("appliance:\n  'hunter2hunter2 is the password': x\n", "unknown key"),
        ("appliance:\n  domain: {hunter2hunter2: {a: b}}\n", "expected text"),
        ("ecs:\n  settings: |\n    hunter2hunter2 = = 1\n", "is not valid Python"),
        (
            "ecs:\n  settings: |\n    X = 1\n    global hunter2hunter2\n    hunter2hunter2 = 1\n    return\n",
            "is not valid",
        ),
        ("appliance:\n  backup:\n    url: hunter2hunter2\n", "expected a URL"),
    ],
)
def test_a_misplaced_secret_is_not_repeated(text: str, begins: str) -> None:
    problems = check(b"#cloud-config\n" + text.encode()).problems
    assert any(problem.message.startswith(begins) for problem in problems)
    assert "hunter2" not in report(problems, "env.yml")


def test_standby_needs_nothing() -> None:
    assert check(STANDBY.encode(), strict=True).problems == ()


def test_empty_values_are_defaults() -> None:
    env = load(f"{STANDBY}  domain:\n  ssl:\n  update: {{oncalendar: ~}}\n".encode())
    assert env.appliance.ssl.letsencrypt.enabled
    assert env.appliance.update.oncalendar == "*-*-* 06:30:00"


def test_numbers_stay_as_they_are_written() -> None:
    text = (
        f"{STANDBY}  git: {{commitid: 0012e4, branch: 1.10}}\n  extra: {{files: [{{path: /a, permissions: 0600}}]}}\n"
    )
    appliance = load(text.encode()).appliance
    assert (appliance.git.commitid, appliance.git.branch) == ("0012e4", "1.10")
    assert appliance.extra.files[0].permissions == "0600"


def test_the_old_name_of_contents_still_holds() -> None:
    env = load((FIXTURES / "accepted/predecessor.yml").read_bytes())
    assert env.appliance.extra.files[0].contents.get_secret_value() == "hello\n"


def test_everything_arrives_in_the_model() -> None:
    env = load(FIXTURES / "accepted/everything.yml")
    assert env.appliance.storage.setup == {"parted": {"/dev/vdb": {"type": "gpt"}}}
    assert env.ecs.docs.git.source == env.ecs.git.source == "/srv/ecs.git"
    assert env.appliance.backup.mount.target == "/mnt/backup"
    assert env.appliance.extra.files[0].contents.get_secret_value() == "Grüß Gott"
    assert env.appliance.server_names == ("ecs.example.org", "*.example.org", "192.0.2.1", "[2001:db8::1]")
    assert len(env.ssh_authorized_keys) == 1


def test_load_raises_the_whole_report() -> None:
    file = FIXTURES / "broken/many-at-once.yml"
    with pytest.raises(InvalidEnvError) as caught:
        load(file)
    assert caught.value.message == report(check(file.read_bytes()).problems, str(file))


@pytest.mark.parametrize(
    "text", ['a: "\\UFFFFFFFF"', 'a: "\\U00110000"', "%YAML 9.9", "a: |99", "a: !<x", "&a a: *a", "? [a]"]
)
def test_no_oddity_of_yaml_makes_the_check_fail(text: str) -> None:
    check(f"{STANDBY}{text}\n".encode())


@pytest.mark.parametrize(
    "settings", ["(" * 5000, "-" * 100_000 + "1", "x = " + "9**" * 5000 + "9", "[" * 90 + "]" * 90]
)
def test_no_python_makes_the_check_fail(settings: str) -> None:
    checked = check(f'{STANDBY}ecs: {{settings: "{settings}"}}\n'.encode())
    assert {problem.path for problem in checked.problems} == {"ecs.settings"}


def test_no_end_of_the_settings_makes_the_check_fail() -> None:
    """A last line that continues in a blank one compiles, but would not without the blank one."""
    checked = check(f'{STANDBY}ecs: {{settings: "X = 1\\\\\\n \\n"}}\n'.encode())
    assert [problem.message for problem in checked.problems] == [
        "does not set SECRET_KEY, REGISTRATION_SECRET, PASSWORD_RESET_SECRET: the application has no safe default"
    ]


@given(st.binary(max_size=300))
def test_no_content_makes_the_check_fail(data: bytes) -> None:
    assert not check(b"#cloud-config\n" + data).ok


@given(st.text(alphabet="ab: -[]{}#&*!|>'\"%@`,?\\x0U\n\t", max_size=120))
def test_no_yaml_makes_the_check_fail(text: str) -> None:
    assert not check(f"#cloud-config\n{text}".encode()).ok


@given(st.integers(0, len(SMALLEST)), st.integers(0, len(SMALLEST)), st.binary(max_size=4))
def test_no_damage_makes_the_check_fail_or_tell_a_secret(start: int, end: int, insert: bytes) -> None:
    checked = check(SMALLEST[:start] + insert + SMALLEST[end:])
    assert "an-example-that-protects" not in report(checked.problems, "env.yml")
