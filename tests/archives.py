"""Make archives in the predecessor's format: duplicity, encrypted to a key without a passphrase."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.create import render
from ecs_appliance.host import gpg
from ecs_appliance.host.duplicity import file_url

SECONDS = 600
# The folders of /data that the predecessor saved.
KEPT = ("ecs-storage-vault", "ecs-pgdump", "ecs-ca")


def make_key() -> str:
    """Return a new private key, armored, like the one `appliance env create` makes for backups."""
    tree = YAML(typ="safe").load(render("ecs.example.org", runner=SystemRunner()))
    return str(tree["appliance"]["backup"]["encrypt"])


@dataclass(frozen=True)
class Archiver:
    """Back up the folder `source` to `target`, with keyring and cache in `work`; `key` is an armored block."""

    source: Path
    target: Path
    work: Path
    key: str

    def back_up(self) -> None:
        """Make a full backup the first time, then incremental ones, in volumes of 1 MB so that there are several."""
        home = self.work / "gnupg"
        if not home.exists():
            home.mkdir(mode=0o700, parents=True)
            gpg.import_keys(SystemRunner(), home, self.key.encode())
        self.target.mkdir(exist_ok=True)
        fingerprint = gpg.list_keys(SystemRunner(), self.key.encode())[0].fingerprint
        options = [f"--encrypt-key={fingerprint}", "--gpg-binary=gpg1", "--gpg-options=--trust-model=always"]
        options += ["--volsize=1", f"--archive-dir={self.work / 'cache'}", "--verbosity=1"]
        names = [f"--include={self.source / name}" for name in KEPT]
        words = [
            "duplicity",
            *options,
            *names,
            f"--exclude={self.source}/**",
            str(self.source),
            file_url(self.target),
        ]
        SystemRunner().run(words, timeout=SECONDS, env={"GNUPGHOME": str(home), "PASSPHRASE": ""})

    def cut_off_last(self) -> None:
        """Make the last backup look like a killed one: keep its volumes, remove its manifest and signatures."""
        last = max(file.name.split(".")[-3] for file in self.target.glob("*.manifest.gpg"))
        for file in [*self.target.glob(f"*{last}.manifest.gpg"), *self.target.glob(f"*{last}.sigtar.gpg")]:
            file.unlink()
        shutil.rmtree(self.work / "cache")
