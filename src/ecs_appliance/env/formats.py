"""Validates domains, URLs, paths, …: each validator returns the text, or raises ValueError."""

import base64
import ipaddress
import re
import struct
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ecs_appliance.env.diagnostics import quoted

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
LONGEST_NAME = 253
LONGEST_HOST_NAME = 64
MAIL_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
MAILBOX = re.compile(rf"{MAIL_WORD}(\.{MAIL_WORD})*")
LONGEST_MAILBOX, LONGEST_ADDRESS = 64, 254
KEY_TYPES = ("ecdsa", "rsa")
INTERVAL = re.compile(r"([1-9][0-9]{0,3}) ?(min|h)")
SHORTEST_INTERVAL, LONGEST_INTERVAL = 5, 24 * 60
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
USER_INFO = re.compile(r"(?P<scheme>[A-Za-z0-9+.-]+)://(?P<user>[^/@]*)@")
SCP_SOURCE = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[A-Za-z0-9._~/+-]+")
GIT_SCHEMES = ("https", "http", "ssh", "git", "file")
GIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@=-]*")
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
ACCOUNT = r"([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})"
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")
SSH_TYPE = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256))\S*")


def host_name(text: str) -> str:
    """Accept a DNS name of one or more labels."""
    labels = text.split(".")
    if len(text) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"expected a host name of letters, digits, - and . (umlauts as xn--…), found {quoted(text)}")
    return text


def domain(text: str) -> str:
    """Accept nothing, `localhost`, or a name of two or more labels, not an address; Linux allows 64 characters."""
    if text in ("", "localhost"):
        return text
    if "." not in text or text.rpartition(".")[2].isdigit():
        raise ValueError(f"expected localhost or a full host name such as ecs.example.org, found {quoted(text)}")
    if len(text) > LONGEST_HOST_NAME:
        raise ValueError(f"expected at most {LONGEST_HOST_NAME} characters, found {len(text)}")
    return host_name(text)


def host_names(text: str) -> str:
    """Accept names, `*.` wildcards and addresses, separated by spaces."""
    for name in text.split():
        if not _is_address(name.strip("[]")):
            host_name(name.removeprefix("*."))
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def mail_address(text: str) -> str:
    """Accept `name@host` in ASCII, without a display name: safe in mail headers and SMTP."""
    mailbox, at, host = text.rpartition("@")
    fits = len(mailbox) <= LONGEST_MAILBOX and len(text) <= LONGEST_ADDRESS
    if not (at and fits and MAILBOX.fullmatch(mailbox) and ("." in host or host == "localhost")):
        raise ValueError(f"expected an e-mail address such as name@example.org, found {quoted(text)}")
    host_name(host)
    return text


def url(text: str) -> str:
    """Accept nothing, or `scheme:…` in printable ASCII without spaces. Errors never show it (passwords)."""
    if text and not _is_url(text):
        raise ValueError("expected a URL such as sftp://user@host/folder")
    return text


def is_sftp(text: str) -> bool:
    """Return whether the URL `text` has the scheme sftp or scp."""
    return text.partition(":")[0].lower() in ("sftp", "scp")


def has_host_and_folder(text: str) -> bool:
    """Return whether the URL `text` has a host and a path other than `/`."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname and parts.path.strip("/"))


def web_url(text: str) -> str:
    """Accept nothing, or an http or https URL with a host."""
    if text and not (_is_url(text) and urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname):
        raise ValueError("expected a URL such as https://key@sentry.example.org/1")
    return text


def https_url(text: str) -> str:
    """Accept an https URL with a host and without a user."""
    parts = urlsplit(text) if _is_url(text) else None
    if parts is None or parts.scheme != "https" or not parts.hostname or parts.username:
        raise ValueError("expected a URL such as https://acme.example.org/directory")
    return text


def optional_mail_address(text: str) -> str:
    """Accept a mail address, or nothing."""
    return mail_address(text) if text else text


def key_type(text: str) -> str:
    """Accept a key type for server certificates."""
    if text not in KEY_TYPES:
        raise ValueError(f"expected one of {', '.join(KEY_TYPES)}, found {quoted(text)}")
    return text


def interval(text: str) -> str:
    """Accept a time span in minutes or hours in systemd's notation, 5min to 24h."""
    found = INTERVAL.fullmatch(text)
    minutes = int(found[1]) * (60 if found[2] == "h" else 1) if found else 0
    if not SHORTEST_INTERVAL <= minutes <= LONGEST_INTERVAL:
        raise ValueError(f"expected a time span from 5min to 24h such as 15min, found {quoted(text)}")
    return text


def to_seconds(text: str) -> float:
    """Return the seconds of an `interval`, 0 if it is not one."""
    found = INTERVAL.fullmatch(text)
    return int(found[1]) * (3600 if found[2] == "h" else 60) if found else 0


def no_flag(value: object) -> object:
    """Accept anything but a boolean, which pydantic would take for 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number, found true or false")
    return value


def _is_url(text: str) -> bool:
    return bool(URL.fullmatch(text)) and _splits(text)


def _splits(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def git_source(text: str) -> str:
    """Accept a URL that git fetches from without running a program, `user@host:path`, or an absolute path."""
    known = url_scheme(text) in GIT_SCHEMES and _is_url(text)
    if known or SCP_SOURCE.fullmatch(text) or re.fullmatch(r"/[A-Za-z0-9._/+-]+", text):
        return text
    raise ValueError("expected a git URL (https, ssh, git, file), user@host:path or an absolute path")


def url_scheme(text: str) -> str:
    """Return the scheme of the URL `text` in lower case, empty if it has none."""
    scheme, separator, _ = text.partition("://")
    return scheme.lower() if separator else ""


def git_name(text: str) -> str:
    """Accept a branch, tag or commit by git's rules, without characters that shells interpret; or nothing."""
    wrong = ".." in text or "//" in text or "@{" in text or text.endswith(("/", ".", ".lock"))
    if text and (wrong or not GIT_NAME.fullmatch(text)):
        raise ValueError(f"expected a name or commit that git accepts, found {quoted(text)}")
    return text


def database(text: str) -> str:
    """Accept a PostgreSQL database name of letters, digits, `_` and `-`."""
    if not DATABASE.fullmatch(text):
        raise ValueError(f"expected a database name of letters, digits and _, at most 63, found {quoted(text)}")
    return text


def absolute_path(text: str) -> str:
    """Accept the path of a file: absolute, without `..`."""
    if not text.startswith("/") or text.endswith("/"):
        raise ValueError(f"expected the absolute path of a file, found {quoted(text)}")
    if ".." in PurePosixPath(text).parts:
        raise ValueError(f'a path must not contain "..", found {quoted(text)}')
    return text


def folder(text: str) -> str:
    """Accept the absolute path of a folder, returned without a slash at the end, or nothing."""
    if text and not text.startswith("/"):
        raise ValueError(f"expected the absolute path of a directory, found {quoted(text)}")
    return absolute_path(text.rstrip("/")) if text else text


def owner(text: str) -> str:
    """Accept `user:group`, each a name or a number."""
    if not re.fullmatch(f"{ACCOUNT}:{ACCOUNT}", text):
        raise ValueError(f"expected user:group, found {quoted(text)}")
    return text


def permissions(text: str) -> str:
    """Accept an octal mode of three or four digits."""
    if not re.fullmatch("[0-7]{3,4}", text):
        raise ValueError(f'expected an octal mode such as "0600", found {quoted(text)}')
    return text


def package(text: str) -> str:
    """Accept the name of a Debian package, optionally with `:architecture` and `=version`."""
    if not PACKAGE.fullmatch(text):
        raise ValueError(f"expected the name of a Debian package, found {quoted(text)}")
    return text


def ssh_key(text: str) -> str:
    """Accept one line of authorized_keys: type and base64, optionally options before and a comment after them."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key: expected the public key, the line in the .pub file")
    if "\n" in text:
        raise ValueError("expected one key on one line")
    _, kind, blob = ssh_parts(text)
    if not _is_ssh_blob(kind, blob):
        raise ValueError("this OpenSSH public key is incomplete or damaged")
    return text


def host_key(text: str) -> str:
    """Return a server's public key as `type base64`, without the server's name that ssh-keyscan prints before it."""
    _, kind, blob = ssh_parts(ssh_key(text))
    return f"{kind} {blob}"


def ssh_parts(text: str) -> tuple[str, str, str]:
    """Split a line of authorized_keys into options, type, base64; the first and last may be empty. Raise ValueError."""
    # Split as sshd does: spaces within double quotes belong to an option.
    words = re.findall(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+', text)
    place = next((index for index, word in enumerate(words[:2]) if SSH_TYPE.fullmatch(word)), None)
    if place is None:
        raise ValueError("expected an OpenSSH public key such as ssh-ed25519 AAAA… name")
    blob = words[place + 1] if len(words) > place + 1 else ""
    return " ".join(words[:place]), words[place], blob


def _is_ssh_blob(kind: str, encoded: str) -> bool:
    """Return whether `encoded` consists of length-prefixed fields, the first of them being `kind`."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    fields = []
    while blob:
        if len(blob) < 4 or len(blob) < 4 + struct.unpack(">I", blob[:4])[0]:  # noqa: PLR2004 # the length field
            return False
        end = 4 + struct.unpack(">I", blob[:4])[0]
        fields.append(blob[4:end])
        blob = blob[end:]
    return len(fields) > 1 and fields[0] == kind.encode()
