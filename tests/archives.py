"""Archives as the predecessor made them: by duplicity, encrypted to a key without passphrase."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.create import render
from ecs_appliance.host import gpg
from ecs_appliance.host.duplicity import file_url

SECONDS = 600
# What the predecessor kept of /data.
KEPT = ("ecs-storage-vault", "ecs-pgdump", "ecs-ca")


def make_key() -> str:
    """A new private key, armored, as `appliance env create` makes it for backups."""
    tree = YAML(typ="safe").load(render("ecs.example.org", runner=SystemRunner()))
    return str(tree["appliance"]["backup"]["encrypt"])


@dataclass(frozen=True)
class Archiver:
    """Backs up the folder `source` into `target`, with keyring and cache in `work`; `key` is an armored block."""

    source: Path
    target: Path
    work: Path
    key: str

    def back_up(self) -> None:
        """A full backup first, then increments; in volumes of 1 MB, for there to be some."""
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
        """Leave of the last backup what a killed one leaves: its volumes, and neither manifest nor signatures."""
        last = max(file.name.split(".")[-3] for file in self.target.glob("*.manifest.gpg"))
        for file in [*self.target.glob(f"*{last}.manifest.gpg"), *self.target.glob(f"*{last}.sigtar.gpg")]:
            file.unlink()
        shutil.rmtree(self.work / "cache")
