"""Rules that involve more than one value: what is required, excluded, or must match something else.

They work on the tree, not on the model, so that they apply even if other values are invalid.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ecs_appliance.env import egress, formats, pem, pgp_keys, pysettings
from ecs_appliance.env.diagnostics import Diagnostic, Severity, quoted
from ecs_appliance.env.model import Backup
from ecs_appliance.env.schema_walk import keys
from ecs_appliance.env.tree import Mapping, Mark, Node, Scalar, Sequence, scalar

SETUP_SECTIONS = ("parted", "mdadm", "crypt", "lvm", "format", "mount", "swap")
PLAIN_HTTP = re.compile(r"(s3|rest|webdav):http://|webdav://", re.IGNORECASE)
PLAIN_GIT = ("http", "git")
FULL_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# ETHICS_COMMISSION_UUID in env/template.yml.
TEMPLATE_COMMISSION = "ec" * 16
OWN_FOLDERS = ("/volatile/", "/data/")
BACKUP_DEFAULT = Backup().url.get_secret_value()
VAULT_KEYS = ("ecs.vault_encrypt", "ecs.vault_sign")


def broken(tree: Mapping, invalid: frozenset[str]) -> list[Diagnostic]:
    """Return the rule violations in `tree`. Rules that depend on the paths `invalid` are skipped."""
    seen = _Seen(tree, invalid)
    shapes = (_needed, _certificate, _extra_files, _settings, _vault, _dkim)
    reach = (_mount, _sftp, _plain, _source, _setup, _sentry)
    # What would make the site or the machine inaccessible, or still has the template's value.
    site = (_names, _commission, _backup_place, _ssh)
    return [problem for rule in (*shapes, *reach, *site) for problem in rule(seen)]


@dataclass(frozen=True)
class _Seen:
    """Look-ups by dotted path."""

    tree: Mapping
    invalid: frozenset[str]

    def node(self, path: str) -> Node | None:
        node: Node | None = self.tree
        for part in path.split("."):
            node = node.entries.get(part) if isinstance(node, Mapping) else None
        return node

    def text(self, path: str) -> str:
        """Return the text at `path`, stripped; empty if it is missing or invalid."""
        return self.verbatim(path).strip()

    def verbatim(self, path: str) -> str:
        """Return the unstripped text at `path`: Python that ends in a backslash needs the blank line after it."""
        node = self.node(path)
        value = scalar(node) if isinstance(node, Scalar) and path not in self.invalid else None
        return value if isinstance(value, str) else ""

    def texts(self, path: str) -> list[str]:
        """Return the stripped texts of the list at `path`."""
        node = self.node(path)
        values = [scalar(item) for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else []
        return [value.strip() for value in values if isinstance(value, str)]

    def flag(self, path: str) -> bool:
        node = self.node(path)
        return isinstance(node, Scalar) and scalar(node) is True

    def has(self, path: str) -> bool:
        """Return whether the list at `path` has an item."""
        node = self.node(path)
        return isinstance(node, Sequence) and bool(node.items)

    def problem(self, path: str, message: str, severity: Severity = "error") -> Diagnostic:
        """Return a problem located at `path`, or at its nearest ancestor in the file."""
        mark, above = Mark(), path
        while above:
            parent, _, key = above.rpartition(".")
            node = self.node(parent) if parent else self.tree
            if isinstance(node, Mapping) and key in node.keys:
                mark = node.keys[key]
                break
            above = parent
        return Diagnostic(mark.line, mark.column, path, severity, message)

    def inside(self, path: str, line: int, message: str, severity: Severity = "warning") -> Diagnostic:
        """Return a problem in `line` of the text at `path`; located at `path` unless the text is a `|` block."""
        node = self.node(path)
        if not (isinstance(node, Scalar) and node.literal):
            return self.problem(path, message, severity)
        return Diagnostic(node.mark.line + line, 1, path, severity, message)


def _needed(seen: _Seen) -> Iterator[Diagnostic]:
    """Nothing is required on standby, as nothing is started."""
    if seen.flag("appliance.standby"):
        return
    for key in keys():
        if key.needed and "[]" not in key.path and key.path not in seen.invalid and not seen.text(key.path):
            yield seen.problem(key.path, f"is missing: {key.field.description}")


def _certificate(seen: _Seen) -> Iterator[Diagnostic]:
    key, cert = "appliance.ssl.key", "appliance.ssl.cert"
    if key in seen.invalid or cert in seen.invalid:
        return
    if bool(seen.text(key)) != bool(seen.text(cert)):
        given, lacking = (key, cert) if seen.text(key) else (cert, key)
        yield seen.problem(given, f"needs {lacking} too")
    elif seen.text(key) and not pem.belong_together(seen.text(key), seen.text(cert)):
        yield seen.problem(cert, f"the first certificate does not match {key}")
    elif seen.text(cert) and (reason := pem.unusable_since(seen.text(cert))):
        # Not an error: the machine must still boot, and serves another certificate.
        yield seen.problem(cert, f"{reason}, so it is not used", "warning")


def _extra_files(seen: _Seen) -> Iterator[Diagnostic]:
    files = seen.node("appliance.extra.files")
    first: dict[str, int] = {}
    for index, item in enumerate(files.items if isinstance(files, Sequence) else []):
        node = item.entries.get("path") if isinstance(item, Mapping) else None
        value = scalar(node) if isinstance(node, Scalar) else None
        if node is None or not isinstance(value, str):
            continue
        path = posixpath.normpath(value.strip().replace("//", "/"))
        if path in first:
            message = f"this path occurs twice, first in line {first[path]}"
            yield Diagnostic(node.mark.line, node.mark.column, f"appliance.extra.files[{index}].path", "error", message)
        first.setdefault(path, node.mark.line)


def _settings(seen: _Seen) -> Iterator[Diagnostic]:
    text = seen.verbatim("ecs.settings")
    missing = pysettings.missing(text) if text.strip() else []
    if missing:
        yield seen.problem("ecs.settings", f"does not set {', '.join(missing)}: the application has no safe default")


def _vault(seen: _Seen) -> Iterator[Diagnostic]:
    for path in VAULT_KEYS:
        text, user = seen.text(path), pgp_keys.USERS[path]
        if not text:
            continue
        key = pgp_keys.read_private_key(text)
        if not any(user in name for name in key.users):
            yield seen.problem(
                path, f"the application looks for a key with the user ID {user}, but this key has another", "warning"
            )
        if not key.is_classic:
            yield seen.problem(path, "the application's gpg 1.4 cannot use this type of key: expected RSA", "warning")


def _dkim(seen: _Seen) -> Iterator[Diagnostic]:
    path = "appliance.dkim.key"
    if not (seen.text(path) or path in seen.invalid or seen.flag("appliance.standby")):
        yield seen.problem(path, "is missing: outgoing mail is not signed", "warning")


def _mount(seen: _Seen) -> Iterator[Diagnostic]:
    base = "appliance.backup.mount"
    given = {name for name in ("type", "source", "target", "options") if seen.text(f"{base}.{name}")}
    for name in ("source", "target"):
        if given and name not in given and f"{base}.{name}" not in seen.invalid:
            yield seen.problem(f"{base}.{name}", "is missing: a mount needs a source and a target")


def _sftp(seen: _Seen) -> Iterator[Diagnostic]:
    path = "appliance.backup.url"
    if not formats.is_sftp(seen.text(path)):
        return
    if not formats.has_host_and_folder(seen.text(path)):
        yield seen.problem(path, "no backup can be stored there: expected sftp://user@host/folder/", "warning")
    if not seen.has("appliance.backup.host_keys"):
        message = "is missing: add the server's host keys (ssh-keyscan HOST); without them it is not trusted"
        yield seen.problem("appliance.backup.host_keys", message, "warning")


def _plain(seen: _Seen) -> Iterator[Diagnostic]:
    path = "appliance.backup.url"
    url = seen.text(path)
    if PLAIN_HTTP.match(url) and urlsplit(url[url.index("//") :]).hostname not in LOOPBACK:
        yield seen.problem(path, "is plain http: anyone on the network path can read user and secret", "warning")


def _source(seen: _Seen) -> Iterator[Diagnostic]:
    """Anyone on the network path can inject code into what is fetched by http or git."""
    for section in ("appliance.git", "ecs.git", "ecs.docs.git"):
        path = f"{section}.source"
        scheme = formats.url_scheme(seen.text(path))
        if scheme not in PLAIN_GIT:
            continue
        if section == "appliance.git":
            yield seen.problem(path, f"{scheme} does not prove the origin, and root runs this: expected https or ssh")
        elif not (seen.has(f"{section}.signers") or FULL_COMMIT.fullmatch(seen.text(f"{section}.commitid"))):
            message = f"{scheme} does not prove the origin: use https or ssh, set signers, or pin a full commitid"
            yield seen.problem(path, message, "warning")


def _setup(seen: _Seen) -> Iterator[Diagnostic]:
    node = seen.node("appliance.storage.setup")
    for section in node.entries if isinstance(node, Mapping) else ():
        if section not in SETUP_SECTIONS:
            message = f"unknown section, expected one of {', '.join(SETUP_SECTIONS)}"
            yield seen.problem(f"appliance.storage.setup.{section}", message, "warning")


def _sentry(seen: _Seen) -> Iterator[Diagnostic]:
    """In files from before egress was restricted, the application's error reports would be dropped silently."""
    path, settings = "appliance.network.egress.containers", "ecs.settings"
    host = pysettings.url_host(seen.verbatim(settings), "SENTRY_DSN")
    if not host or any(item.startswith(path) for item in seen.invalid):
        return
    named = [egress.parse_destination(text) for text in seen.texts(path)]
    # A listed network may contain the host; that is not resolved here.
    if not any(one.name == host or not one.name for one in named):
        yield seen.problem(path, f"does not list {quoted(host)}: what SENTRY_DSN sends there is blocked", "warning")


def _names(seen: _Seen) -> Iterator[Diagnostic]:
    """The application rejects names that it does not know, and the site would never come up."""
    domain, hosts, path = seen.text("appliance.domain").lower(), "appliance.allowed_hosts", "ecs.settings"
    if not domain:
        return
    names = seen.text(hosts).lower().split()
    if names and not any(_lets_in(name.replace("*.", ".", 1), domain) for name in names):
        yield seen.problem(hosts, f"does not include {quoted(domain)}, the domain: is one of them mistyped?", "warning")
    settings = seen.verbatim(path)
    own, allowed, debug = (pysettings.known(settings, name) for name in ("DOMAIN", "ALLOWED_HOSTS", "DEBUG"))
    if own and isinstance(own.value, str) and own.value.lower() != domain:
        message = (
            f"DOMAIN is {quoted(own.value)}, but appliance.domain is {quoted(domain)}: links in e-mails use the former"
        )
        yield seen.inside(path, own.line, message)
    if allowed and isinstance(allowed.value, tuple) and not any(_lets_in(one.lower(), domain) for one in allowed.value):
        # Old versions of Django ignore ALLOWED_HOSTS if DEBUG is set.
        certain = debug is not None and debug.value is False
        message = f"ALLOWED_HOSTS does not include {quoted(domain)}, appliance.domain: every page would be error 400"
        yield seen.inside(path, allowed.line, message, "error" if certain else "warning")


def _lets_in(pattern: str, host: str) -> bool:
    """Match a host as Django's ALLOWED_HOSTS does."""
    return pattern in ("*", host) or (pattern.startswith(".") and (host.endswith(pattern) or host == pattern[1:]))


def _commission(seen: _Seen) -> Iterator[Diagnostic]:
    found = pysettings.known(seen.verbatim("ecs.settings"), "ETHICS_COMMISSION_UUID")
    if found and str(found.value).replace("-", "").lower() == TEMPLATE_COMMISSION:
        yield seen.inside(
            "ecs.settings", found.line, "ETHICS_COMMISSION_UUID is still the template's: replace it with your own"
        )


def _backup_place(seen: _Seen) -> Iterator[Diagnostic]:
    path = "appliance.backup.url"
    parts = urlsplit(seen.text(path) or BACKUP_DEFAULT) if path not in seen.invalid else None
    if parts is None or parts.scheme.lower() != "file" or seen.flag("appliance.standby"):
        return
    target = seen.text("appliance.backup.mount.target").rstrip("/")
    folder = posixpath.normpath(parts.path)
    mounted = target and f"{folder}/".startswith(f"{target}/")
    if not mounted and f"{folder}/".startswith(OWN_FOLDERS):
        yield seen.problem(
            path, "backups stay on this machine and are lost with it: use a server or a mount", "warning"
        )


def _ssh(seen: _Seen) -> Iterator[Diagnostic]:
    path = "ssh_authorized_keys"
    if not (seen.has(path) or path in seen.invalid or seen.flag("appliance.standby")):
        yield seen.problem(path, "has no key: nobody can log in with an SSH key", "warning")
