"""Words of a former private language do not come back: each has a plain one, named here, in the field's own terms."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Pattern of a word, and what to write instead.
WORDS = {
    r"told": "reported, logged, given",
    r"mend(s|ed|ing)?": "fix",
    r"hears?": "is notified of, receives",
    r"whoever": "anyone who, or the passive",
    r"(is|are) well": "healthy, OK",
    r"held for": "counts as, is treated as",
    r"gives? way": "is rolled back, falls back",
    r"goes on": "resumes, continues",
    r"can not": "cannot",
    r"sealed": "encrypted",
    r"by itself": "automatically",
    r"of whom": "whose",
    r"of ours": "the appliance's",
    r"in no more": "disabled",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
# Where a word is right: a part of the line, and the reason.
EXCEPTIONS = {
    "src/ecs_appliance/backup/evidence_words.py": ("can NOT be trusted", "stresses the NOT"),
    "src/ecs_appliance/reporting/alerts.py": ("told", "a field of state files, which keep their format"),
    "docs/decisions/0030-one-snapshot.md": ("is held for the restore point", "a lock is held for a time"),
}
FOLDERS = ("src", "docs", "salt", "containers", "commands")
SUFFIXES = {".py", ".md", ".yml", ".sls", ".conf", ".inc", ".service", ".timer", ".nft", ".html", ".sh", ".8", ""}
FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (file for file in (ROOT / folder).rglob("*") if file.is_file() and file.suffix in SUFFIXES)
    yield from (ROOT / name for name in FILES)


def found() -> Iterator[str]:
    for file in texts():
        name = str(file.relative_to(ROOT))
        if "__pycache__" in name:
            continue
        allowed, _ = EXCEPTIONS.get(name, ("", ""))
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if (word := PATTERN.search(line)) and not (allowed and allowed in line):
                yield f"{name}:{number}: {word[0]}"


def test_no_word_of_the_former_language_is_used() -> None:
    assert list(found()) == []


def test_every_exception_is_still_needed() -> None:
    for name, (phrase, _) in EXCEPTIONS.items():
        assert phrase in (ROOT / name).read_text(), name
