"""Commits in quarantine: copied into a repository made for one use, where every object is what its name says.

Git takes the objects of a repository for what their names say, and runs what its configuration names. So a repository
that somebody else may write is only ever asked, as its owner, for a pack; an account that owns nothing and has no
network unpacks it, which names every object by what it holds.
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
# On disk, not in memory; and no archive larger than this, however often a tree names the same file.
SCRATCH = "/var/tmp"  # noqa: S108 # folders of tempfile's in it
LARGEST = 8 << 30
FENCE = (
    *("prlimit", f"--fsize={LARGEST}", "--", "unshare", "--net", "--"),
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs", "--"),
)
# A tree is archived as it is: what .gitattributes would leave out, convert or fill in, they do not.
ATTRIBUTES = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n"
PARENT = re.compile(r"^parent ([0-9a-f]{40,64})$", re.MULTILINE)
FOLDER = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class Quarantine:
    """A bare repository in `folder`, of the account nobody."""

    runner: Runner
    folder: Path

    def take(self, repository: Path, commit: str, *, user: str | None, files: bool = True) -> list[str]:
        """Copy `commit` without what came before it, and with its annotated tags, whose ids are returned.

        Git runs as `user` in `repository`. Without `files` nothing but the commit itself is copied. Raises RefusedError
        where the repository has another object by that name.
        """
        with tempfile.TemporaryFile(dir=SCRATCH) as file:
            tags = pack(self.runner, repository, commit, file, user=user, files=files)
            file.seek(0)
            self.run("git", "index-pack", "--stdin", input=file)
        # Its parents are not missed.
        self.run("tee", "--append", "shallow", input=f"{commit}\n")
        if self.run("git", "cat-file", "-t", commit, ok=range(256)).stdout.strip() != "commit":
            raise RefusedError(f"{repository} has something else by the name {commit}", f"move {repository} away")
        return tags

    def tree(self, commit: str, *, grafted: Mapping[str, str] | None = None) -> str:
        """The id of the tree of `commit`, with trees of others (`COMMIT:folder`) in place of the folders `grafted`."""
        self._index("read-tree", commit)
        for folder, other in (grafted or {}).items():
            if not FOLDER.fullmatch(folder):
                raise ValueError(f"{folder!r} is no folder for a tree")
            self._index("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", folder)
            self._index("read-tree", f"--prefix={folder}/", other)
        return self._index("write-tree").stdout.strip()

    def has(self, tree: str) -> bool:
        """Whether there is a tree by the name `tree`, such as `COMMIT:folder`."""
        return self.run("git", "cat-file", "-t", tree, ok=range(256)).stdout.strip() == "tree"

    def parents(self, commit: str) -> list[str]:
        """The ids of the parents of `commit`, of which nothing else need be here."""
        header = self.run("git", "cat-file", "commit", commit).stdout.partition("\n\n")[0]
        return PARENT.findall(header)

    def plan_repository(self, commit: str, branch: str, known: Sequence[str]) -> list[str]:
        """Options of `archive` that add a `.git`: `commit` at the head of `branch`, and its parents that are `known`.

        It has no files and no history: just what `git rev-parse HEAD` and `git log HEAD^..HEAD` need.
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
        # The last prefix is that of the tree itself.
        return [*texts, "--prefix=.git/objects/pack/", *pack_files, "--prefix="]

    def archive(self, tree: str, file: IO[bytes], added: Sequence[str] = ()) -> None:
        """Write the files of `tree`, and what is `added` by options, to `file`, as a tar."""
        self.run("git", "-c", "tar.umask=0022", "archive", "--format=tar", *added, tree, output=file)

    def run(
        self,
        *argv: str,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002 # as the runner's
        output: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        ok: range | tuple[int, ...] = (0,),
    ) -> Result:
        """Run `argv` in the repository as nobody, without network. Raises CommandError."""
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
    """A quarantine that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="appliance-quarantine.", dir=SCRATCH) as top:
        Path(top).chmod(0o711)
        made = Quarantine(runner, Path(top) / "repository")
        runner.run(["install", "-d", "-o", "nobody", "-g", "nogroup", "-m", "0700", made.folder], timeout=SECONDS)
        made.run("git", "init", "--quiet", "--bare", "--template=")
        made.run("mkdir", "info", "empty")
        made.run("tee", "info/attributes", input=ATTRIBUTES)
        yield made
