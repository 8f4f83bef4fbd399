"""Two files are compared by content, without revealing any secret."""

import json
from pathlib import Path

import pytest

from ecs_appliance.env.check import load
from ecs_appliance.env.decoding import decode
from ecs_appliance.env.diff import as_json, diff, format_differences
from ecs_appliance.env.schema_walk import secrets
from ecs_appliance.env.tree import TreeError, parse

FIXTURES = Path(__file__).parents[2] / "fixtures/env"
EVERYTHING = (FIXTURES / "accepted/everything.yml").read_bytes()
EVERY_FILE = sorted(FIXTURES.glob("*/*.yml"))


def lines(old: str, new: str) -> list[str]:
    return format_differences(diff(old.encode(), new.encode())).splitlines()


def parses(file: Path) -> bool:
    try:
        parse(decode(file.read_bytes()))
    except TreeError:
        return False
    return True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a: 1\nb: 2\n", "# why\nb: 2 # two\n\na:   1\n"),
        ("disable_root: yes\n", "disable_root: true\n"),
        ("appliance: {domain: x.example.org}\n", 'appliance:\n  domain: "x.example.org"\n'),
        ("ecs:\n  settings: |\n    A = 1\n    B = 2\n", 'ecs: {settings: "A = 1\\nB = 2\\n"}\n'),
        ("disable_root: true\necs:\n  git: {branch: x}\n", "disable_root: true\r\necs:\r\n  git: {branch: x}\r\n"),
        (
            "appliance: {extra: {files: [{permissions: 0644}]}}\n",
            "appliance: {extra: {files: [{permissions: '0644'}]}}\n",
        ),
        (
            "appliance: {storage: {setup: {swap: {a: {size: 1}}}}}\n",
            "appliance:\n  storage:\n    setup: |\n      swap: {a: {size: 1}}\n",
        ),
        ("ecs: {git: &git {branch: x}, docs: {git: *git}}\n", "ecs: {git: {branch: x}, docs: {git: {branch: x}}}\n"),
    ],
)
def test_the_way_of_writing_is_no_difference(old: str, new: str) -> None:
    assert lines(old, new) == ["no differences"]
    assert json.loads(as_json(diff(old.encode(), new.encode()))) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("appliance: {domain: a.org}\n", "appliance: {domain: b.org}\n", "changed  appliance.domain: a.org → b.org"),
        ("ecs: {database: x}\n", "ecs: {}\n", "removed  ecs.database: x"),
        ("ecs: {}\n", "ecs: {migrate: {auto: no}}\n", "added    ecs.migrate.auto: false"),
        ("ecs: {database: x}\n", "ecs: {database: }\n", "changed  ecs.database: x → (nothing)"),
        ("ecs: {git: {branch: x}}\n", 'ecs: {git: {branch: ""}}\n', 'changed  ecs.git.branch: x → ""'),
        ("ecs: {database: x}\n", 'ecs: {database: "x "}\n', 'changed  ecs.database: x → "x "'),
        ("ecs: {git: {commitid: 0123}}\n", "ecs: {git: {commitid: 123}}\n", "changed  ecs.git.commitid: 0123 → 123"),
        ("appliance:\n", "appliance: {domain: a.org}\n", "added    appliance.domain: a.org"),
        ("a: 1\nssh_authorized_keys: []\n", "a: 1\n", "removed  ssh_authorized_keys: (nothing)"),
        (
            "appliance: {extra: {packages: [htop, vim]}}\n",
            "appliance: {extra: {packages: [htop, mc]}}\n",
            "changed  appliance.extra.packages[1]: vim → mc",
        ),
        (
            "appliance: {storage: {setup: {mount: {/dev/vdb: [ro]}}}}\n",
            "appliance: {storage: {setup: {mount: {/dev/vdb: [rw]}}}}\n",
            "changed  appliance.storage.setup.mount./dev/vdb[0]: ro → rw",
        ),
    ],
)
def test_a_difference_is_a_line(old: str, new: str, expected: str) -> None:
    assert lines(old, new) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("ecs: {settings: SECRET-1}\n", "ecs: {settings: SECRET-2}\n", "ecs.settings"),
        ("appliance: {sentry: {dsn: SECRET-1}}\n", "appliance: {sentry: {dsn: SECRET-2}}\n", "appliance.sentry.dsn"),
        ("unknown: SECRET-1\n", "unknown: [SECRET-2]\n", "unknown"),
        ("appliance: {metrics: {x: SECRET-1}}\n", "appliance: {metrics: {x: SECRET-2}}\n", "appliance.metrics"),
        ("ecs: {vault_sign: {a: SECRET-1}}\n", "ecs: {vault_sign: {a: SECRET-2}}\n", "ecs.vault_sign"),
        ("appliance: {dkim: SECRET-1}\n", "appliance: {dkim: SECRET-2}\n", "appliance.dkim"),
        ("ssh_authorized_keys: SECRET-1\n", "ssh_authorized_keys: SECRET-2\n", "ssh_authorized_keys"),
        ("ssh_authorized_keys: [SECRET-1]\n", "ssh_authorized_keys: [SECRET-2]\n", "ssh_authorized_keys[0]"),
        ("appliance: {ssl: {cert: SECRET-1}}\n", "appliance: {ssl: {cert: SECRET-2}}\n", "appliance.ssl.cert"),
        (
            "appliance: {extra: {files: [{contents: SECRET-1}]}}\n",
            "appliance: {extra: {files: [{contents: SECRET-2}]}}\n",
            "appliance.extra.files[0].contents",
        ),
        (
            "appliance: {extra: {files: [{content: SECRET-1}]}}\n",
            "appliance: {extra: {files: [{content: SECRET-2}]}}\n",
            "appliance.extra.files[0].content",
        ),
        (
            "appliance: {storage: {setup: {crypt: {/dev/vdb: {password: SECRET-1}}}}}\n",
            "appliance: {storage: {setup: {crypt: {/dev/vdb: {password: SECRET-2}}}}}\n",
            "appliance.storage.setup.crypt./dev/vdb.password",
        ),
        (
            "appliance: {storage: {setup: 'password: {a: SECRET-1}'}}\n",
            "appliance: {storage: {setup: 'password: {a: SECRET-2}'}}\n",
            "appliance.storage.setup.password",
        ),
        (
            "appliance: {storage: {setup: 'SECRET-1: ['}}\n",
            "appliance: {storage: {setup: 'SECRET-2: ['}}\n",
            "appliance.storage.setup",
        ),
        (
            "ecs: {git: {source: 'https://me:SECRET-1@git.example.org/x'}}\n",
            "ecs: {git: {source: 'https://me:SECRET-2@git.example.org/x'}}\n",
            "ecs.git.source",
        ),
        ("'BEGIN PRIVATE KEY SECRET-1': 1\n", "'BEGIN PRIVATE KEY SECRET-1': 2\n", "?"),
    ],
)
def test_what_may_be_secret_is_not_shown(old: str, new: str, path: str) -> None:
    assert lines(old, new) == [f"changed  {path}  (not shown)"]
    found = json.loads(as_json(diff(old.encode(), new.encode())))
    assert found == [{"path": path, "change": "changed", "old": None, "new": None, "hidden": True}]
    assert lines("other: 1\n", new)[-1] == f"added    {path}  (not shown)" or "git.source" in path


def test_a_source_is_shown_without_what_opens_it() -> None:
    old, new = (f'ecs: {{git: {{source: "https://me:SECRET@{host}.example.org/x"}}}}\n' for host in "ab")
    assert lines(old, new) == ["changed  ecs.git.source: https://*****@a.example.org/x → https://*****@b.example.org/x"]


def test_a_secret_that_was_not_there_before_is_told_as_such() -> None:
    assert lines("ecs: {settings: }\n", "ecs: {settings: X = 1}\n") == [
        "changed  ecs.settings: (nothing) → (not shown)"
    ]


def script(*words: str) -> str:
    """Return a file with a multi-line text, one word per line."""
    return "appliance:\n  storage:\n    setup:\n      lvm:\n        note: |\n" + "".join(
        f"          {w}\n" for w in words
    )


def test_of_a_long_text_the_lines_that_differ_are_shown() -> None:
    path = "appliance.storage.setup.lvm.note"
    assert lines(script(*"abcdefghi"), script(*"aBcdefgi")) == [
        f"changed  {path}:",
        *("     a", "    -b", "    +B", "     c"),
        *("    …", "     g", "    -h", "     i"),
    ]
    added = lines("appliance: {storage: {setup: {lvm: {x: 1}}}}\n", script("a", "b"))
    assert added[1:] == [f"added    {path}:", "    +a", "    +b"]
    short = script("a", "b")
    assert lines(short, short.replace("|", "|-")) == [
        f"changed  {path}:",
        "    (only the line break at the end differs)",
    ]


@pytest.mark.parametrize("file", [file for file in EVERY_FILE if parses(file)], ids=lambda file: file.stem)
def test_no_file_betrays_a_secret(file: Path) -> None:
    """Not even a broken one, in which a secret may be in the wrong place."""
    data = file.read_bytes()
    known = [*secrets(load(EVERYTHING)), "PRIVATE KEY", "protects-nothing", "correct-horse", "BEGIN PGP"]
    for other in (b"other: 1\n", EVERYTHING) if file.parent.name == "accepted" else (b"other: 1\n",):
        found = diff(other, data)
        text = format_differences(found) + as_json(found)
        assert [secret for secret in known if secret in text] == []


@pytest.mark.parametrize("file", [file for file in EVERY_FILE if not parses(file)], ids=lambda file: file.stem)
def test_what_is_no_yaml_is_reported_under_its_name(file: Path) -> None:
    with pytest.raises(TreeError, match=r"^second:"):
        diff(EVERYTHING, file.read_bytes(), names=("first", "second"))
