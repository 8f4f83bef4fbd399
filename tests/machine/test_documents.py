"""A document that the site has lost is noticed by the next backup, and restored from an older one."""

from typing import TYPE_CHECKING

import pytest

from tests.machine.backups import BACKUP, WELL, alerts, let_rest, refused, target
from tests.machine.people import query, told
from tests.machine.test_recovery import VAULTCHECK, upload

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

__all__ = ["target"]

LEDGER = "/data/etc/backup/documents.sha256"
VAULT = "/data/ecs-storage-vault"


def place(name: str) -> str:
    return f"{VAULT}/{name[0]}/{name[1]}/{name[2]}/{name[3]}/{name}"


@pytest.fixture
def names(demo: "Demo", target: str) -> list[str]:
    """Return two documents that are in a backup."""
    found = [upload(demo) for _ in range(2)]
    let_rest(demo)
    told(demo, *BACKUP, "run", "--json")
    return found


def state_of(demo: "Demo", name: str) -> str:
    return demo.sh(f"stat --format '%U:%G %a %s' {place(name)}; sha256sum {place(name)}")


def test_public_tools_compare_the_vault_with_the_ledger(demo: "Demo", names: list[str]) -> None:
    assert demo.sh(f"cd {VAULT}; sha256sum --check --quiet --strict {LEDGER}") == ""
    assert demo.sh(f"grep --count -e {names[0]} -e {names[1]} {LEDGER}") == "2"
    assert demo.sh(f"stat --format %a:%U {LEDGER}") == "600:root"


def test_the_next_backup_names_them_and_each_comes_back(demo: "Demo", names: list[str]) -> None:
    missing, altered = names
    before = [state_of(demo, name) for name in names]
    demo.sh(f"rm {place(missing)}; printf altered | dd of={place(altered)} bs=1 seek=300 conv=notrunc status=none")
    lost = {"missing": [missing], "altered": [altered], "gone": []}
    for _ in range(2):
        assert told(demo, *BACKUP, "run", "--json")["documents"] == lost
    said = alerts(demo)
    assert f"this site has lost 2 documents: {missing} is missing, {altered} is altered" in said
    assert "appliance backup restore-document ID" in said
    first = told(demo, *BACKUP, "list", "--json")["backups"][0]["id"]
    done = told(demo, *BACKUP, "restore-document", missing, "--json")
    assert (done["was"], done["verified"], done["backup"]["id"]) == ("missing", True, first)
    assert missing not in alerts(demo)
    assert altered in alerts(demo)
    assert f"document {altered} was altered and is restored" in demo.sh(f"appliance backup restore-document {altered}")
    assert [state_of(demo, name) for name in names] == before
    assert alerts(demo) == WELL
    demo.sh(f"{VAULTCHECK} --decrypt --orphans-ok")
    assert told(demo, *BACKUP, "run", "--json")["documents"]["missing"] == []
    refused(demo.exec([*BACKUP, "restore-document", missing]), "exists and is intact")


def test_what_was_removed_by_the_application_is_no_loss(demo: "Demo", names: list[str]) -> None:
    """Its row is gone too, but it can still be restored from a backup."""
    script = f"from ecs.documents.models import Document; Document.objects.get(uuid='{names[0]}').delete()"
    demo.exec(["docker", "exec", "-i", "ecs_ecs.web_1", "/start", "run", "./manage.py", "shell"], data=script)
    assert demo.exec(["test", "-e", place(names[0])]).returncode == 1
    assert told(demo, *BACKUP, "run", "--json")["documents"] == {"missing": [], "altered": [], "gone": []}
    assert alerts(demo) == WELL
    assert demo.sh(f"grep --count {names[0]} {LEDGER} || true") == "0"
    assert told(demo, *BACKUP, "restore-document", names[0], "--json")["verified"] is True
    demo.sh(f"rm {place(names[0])}")


def test_a_row_without_a_file_is_missing_though_nobody_recorded_it(demo: "Demo", target: str) -> None:
    name = upload(demo)
    demo.sh(f"rm {place(name)}")
    try:
        assert told(demo, *BACKUP, "run", "--json")["documents"]["missing"] == [name]
        done = demo.exec([*BACKUP, "restore-document", name])
        assert (done.returncode, f"no backup contains an intact copy of document {name}" in done.stderr) == (1, True)
    finally:
        query(demo, "delete from documents_document where uuid = :'name'::uuid", name=name)
    told(demo, *BACKUP, "run", "--json")
    assert alerts(demo) == WELL
