"""Quarantine commits: copy them into a temporary repository in which every object matches its id.

Git does not verify that the objects of a repository match their ids, and it runs programs that the repository's
configuration names. So a repository that another account may write to only supplies a pack, by git run as its owner.
An account that owns nothing and has no network unpacks it, which computes the id of every object from its content.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ecs_appliance.core.errors import RefusedError
from ecs_appliance.core.runner import Result, Runner
from ecs_appliance.host.git import pack

SECONDS = 600
# On disk, not in memory. The limit stops archives of a tree that contains the same file very often.
SCRATCH = "/var/tmp"  # noqa: S108 # tempfile creates folders in it
LARGEST = 8 << 30
FENCE = (
    *("prlimit", f"--fsize={LARGEST}", "--", "unshare", "--net", "--"),
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs", "--"),
)
# Archive a tree unchanged: overrides any .gitattributes that would omit, convert or substitute content.
ATTRIBUTES = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n"
PARENT = re.compile(r"^parent ([0-9a-f]{40,64})$", re.MULTILINE)
FOLDER = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Quarantine:
    """A bare repository in `folder`, owned by the account nobody."""

    runner: Runner
    folder: Path

    def take(self, repository: Path, commit: str, *, user: str | None, files: bool = True) -> list[str]:
        """Copy `commit` without its history, and its annotated tags; return the ids of the tags.

        Git runs as `user` in `repository`. Without `files`, copy only the commit object and the tags. Raise
        RefusedError if the repository's object of that id is something else.
        """
        with tempfile.TemporaryFile(dir=SCRATCH) as file:
            tags = pack(self.runner, repository, commit, file, user=user, files=files)
            file.seek(0)
            self.run("git", "index-pack", "--stdin", input=file)
        # So that git does not look for its parents.
        self.run("tee", "--append", "shallow", input=f"{commit}\n")
        if self.run("git", "cat-file", "-t", commit, ok=range(256)).stdout.strip() != "commit":
            raise RefusedError(
                f"{repository} contains something other than a commit named {commit}", f"move {repository} away"
            )
        return tags

    def tree(self, commit: str, *, grafted: Mapping[str, str] | None = None) -> str:
        """Return the id of the tree of `commit`, with the folders in `grafted` replaced by trees (`COMMIT:folder`)."""
        self._index("read-tree", commit)
        for folder, other in (grafted or {}).items():
            if not FOLDER.fullmatch(folder):
                raise ValueError(f"{folder!r} is not a valid folder for a tree")
            self._index("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", folder)
            self._index("read-tree", f"--prefix={folder}/", other)
        return self._index("write-tree").stdout.strip()

    def has(self, tree: str) -> bool:
        """Return whether the tree `tree`, such as `COMMIT:folder`, exists."""
        return self.run("git", "cat-file", "-t", tree, ok=range(256)).stdout.strip() == "tree"

    def parents(self, commit: str) -> list[str]:
        """Return the ids of the parents of `commit`, which need not be in quarantine themselves."""
        header = self.run("git", "cat-file", "commit", commit).stdout.partition("\n\n")[0]
        return PARENT.findall(header)

    def plan_repository(self, commit: str, branch: str, known: Sequence[str]) -> list[str]:
        """Return options of `archive` that add a `.git` with `commit` as head of `branch` and the parents in `known`.

        It has no files and no further history: just what `git rev-parse HEAD` and `git log HEAD^..HEAD` need.
        """
        packed = self.run("git", "pack-objects", "-q", "pack", input="".join(f"{each}\n" for each in (commit, *known)))
        name = f"pack-{packed.stdout.strip()}"
        contents = {
            "HEAD": f"ref: refs/heads/{branch}\n",
            "config": "[core]\n\trepositoryformatversion = 0\n\tbare = false\n",
            "shallow": "".join(f"{each}\n" for each in known or [commit]),
            f"refs/heads/{branch}": f"{commit}\n",
        }
        texts = [f"--add-virtual-file=.git/{path}:{content}" for path, content in contents.items()]
        pack_files = [f"--add-file={name}.{kind}" for kind in ("pack", "idx")]
        # The last prefix applies to the tree itself.
        return [*texts, "--prefix=.git/objects/pack/", *pack_files, "--prefix="]

    def archive(self, tree: str, file: IO[bytes], added: Sequence[str] = ()) -> None:
        """Write `tree` to `file` as a tar, with what the options `added` add (see `plan_repository`)."""
        self.run("git", "-c", "tar.umask=0022", "archive", "--format=tar", *added, tree, output=file)

    def run(
        self,
        *argv: str,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002 # as in Runner.run
        output: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        ok: range | tuple[int, ...] = (0,),
    ) -> Result:
        """Run `argv` in the repository as nobody, without network. Raise CommandError."""
        environment = {
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        }
        command = [*FENCE, *argv]
        return self.runner.run(
            command, timeout=SECONDS, env=environment, cwd=self.folder, input=input, output=output, ok=ok
        )

    def _index(self, *words: str) -> Result:
        return self.run("git", *words, env={"GIT_WORK_TREE": str(self.folder / "empty")})


@contextmanager
def quarantine(runner: Runner) -> Iterator[Quarantine]:
    """Create a quarantine and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="appliance-quarantine.", dir=SCRATCH) as top:
        Path(top).chmod(0o711)
        made = Quarantine(runner, Path(top) / "repository")
        runner.run(["install", "-d", "-o", "nobody", "-g", "nogroup", "-m", "0700", made.folder], timeout=SECONDS)
        made.run("git", "init", "--quiet", "--bare", "--template=")
        made.run("mkdir", "info", "empty")
        made.run("tee", "info/attributes", input=ATTRIBUTES)
        yield made
