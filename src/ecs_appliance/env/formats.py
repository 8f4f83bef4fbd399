"""What a text must look like to be a domain, a URL, a path, …: each function returns it, or raises ValueError."""

import base64
import ipaddress
import re
import struct
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ecs_appliance.env.problem import quoted

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
    """A name of one label or more, as DNS has it."""
    labels = text.split(".")
    if len(text) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"expected a host name of letters, digits, - and . (umlauts as xn--…), found {quoted(text)}")
    return text


def domain(text: str) -> str:
    """`localhost`, or a full host name of at least two labels that is no address; Linux takes 64 characters of it."""
    if text in ("", "localhost"):
        return text
    if "." not in text or text.rpartition(".")[2].isdigit():
        raise ValueError(f"expected localhost or a full host name such as ecs.example.org, found {quoted(text)}")
    if len(text) > LONGEST_HOST_NAME:
        raise ValueError(f"expected at most {LONGEST_HOST_NAME} characters, found {len(text)}")
    return host_name(text)


def host_names(text: str) -> str:
    """Names, `*.` wildcards and addresses, separated by spaces."""
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
    """`name@host`, in ASCII, without a display name: safe in the header of a mail and in SMTP."""
    mailbox, at, host = text.rpartition("@")
    fits = len(mailbox) <= LONGEST_MAILBOX and len(text) <= LONGEST_ADDRESS
    if not (at and fits and MAILBOX.fullmatch(mailbox) and ("." in host or host == "localhost")):
        raise ValueError(f"expected a mail address such as name@example.org, found {quoted(text)}")
    host_name(host)
    return text


def url(text: str) -> str:
    """`scheme:…` in printable ASCII without spaces. The message never shows it: it may hold a password."""
    if text and not _is_url(text):
        raise ValueError("expected a URL such as sftp://user@host/folder")
    return text


def is_sftp(text: str) -> bool:
    """Whether the URL `text` is one of an sftp server, by either name."""
    return text.partition(":")[0].lower() in ("sftp", "scp")


def has_host_and_folder(text: str) -> bool:
    """Whether the URL `text` names both."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname and parts.path.strip("/"))


def web_url(text: str) -> str:
    """An http or https URL with a host."""
    if text and not (_is_url(text) and urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname):
        raise ValueError("expected a URL such as https://key@sentry.example.org/1")
    return text


def https_url(text: str) -> str:
    """An https URL with a host, and no password in it."""
    parts = urlsplit(text) if _is_url(text) else None
    if parts is None or parts.scheme != "https" or not parts.hostname or parts.username:
        raise ValueError("expected a URL such as https://acme.example.org/directory")
    return text


def optional_mail_address(text: str) -> str:
    """A mail address, or nothing."""
    return mail_address(text) if text else text


def key_type(text: str) -> str:
    """A kind of private key that a server certificate may have."""
    if text not in KEY_TYPES:
        raise ValueError(f"expected one of {', '.join(KEY_TYPES)}, found {quoted(text)}")
    return text


def interval(text: str) -> str:
    """A time span of minutes or hours, as systemd takes it too."""
    found = INTERVAL.fullmatch(text)
    minutes = int(found[1]) * (60 if found[2] == "h" else 1) if found else 0
    if not SHORTEST_INTERVAL <= minutes <= LONGEST_INTERVAL:
        raise ValueError(f"expected a time span from 5min to 24h such as 15min, found {quoted(text)}")
    return text


def to_seconds(text: str) -> float:
    """The seconds of an `interval`."""
    found = INTERVAL.fullmatch(text)
    return int(found[1]) * (3600 if found[2] == "h" else 60) if found else 0


def no_flag(value: object) -> object:
    """Anything but a boolean, which Python would take for 0 or 1."""
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
    """A URL that git fetches from without running anything, `user@host:path`, or an absolute path."""
    known = url_scheme(text) in GIT_SCHEMES and _is_url(text)
    if known or SCP_SOURCE.fullmatch(text) or re.fullmatch(r"/[A-Za-z0-9._/+-]+", text):
        return text
    raise ValueError("expected a git URL (https, ssh, git, file), user@host:path or an absolute path")


def url_scheme(text: str) -> str:
    """The scheme of `text`, in lower case; empty where it has none."""
    scheme, separator, _ = text.partition("://")
    return scheme.lower() if separator else ""


def git_name(text: str) -> str:
    """A branch, tag or commit by the rules of git, and by stricter ones about characters that shells interpret."""
    wrong = ".." in text or "//" in text or "@{" in text or text.endswith(("/", ".", ".lock"))
    if text and (wrong or not GIT_NAME.fullmatch(text)):
        raise ValueError(f"expected a name or commit that git accepts, found {quoted(text)}")
    return text


def database(text: str) -> str:
    """A PostgreSQL name that needs no quotes but for hyphens."""
    if not DATABASE.fullmatch(text):
        raise ValueError(f"expected a database name of letters, digits and _, at most 63, found {quoted(text)}")
    return text


def absolute_path(text: str) -> str:
    """The path of a file: absolute, without `..`."""
    if not text.startswith("/") or text.endswith("/"):
        raise ValueError(f"expected the absolute path of a file, found {quoted(text)}")
    if ".." in PurePosixPath(text).parts:
        raise ValueError(f'a path must not contain "..", found {quoted(text)}')
    return text


def folder(text: str) -> str:
    """The absolute path of a folder, or nothing."""
    if text and not text.startswith("/"):
        raise ValueError(f"expected the absolute path of a folder, found {quoted(text)}")
    return absolute_path(text.rstrip("/")) if text else text


def owner(text: str) -> str:
    """`user:group`, by name or number."""
    if not re.fullmatch(f"{ACCOUNT}:{ACCOUNT}", text):
        raise ValueError(f"expected user:group, found {quoted(text)}")
    return text


def permissions(text: str) -> str:
    """An octal mode of three or four digits."""
    if not re.fullmatch("[0-7]{3,4}", text):
        raise ValueError(f'expected an octal mode such as "0600", found {quoted(text)}')
    return text


def package(text: str) -> str:
    """The name of a Debian package, with `:architecture` or `=version` where wanted."""
    if not PACKAGE.fullmatch(text):
        raise ValueError(f"expected the name of a Debian package, found {quoted(text)}")
    return text


def ssh_key(text: str) -> str:
    """One line of authorized_keys: options where wanted, type, base64, comment."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key: expected the public one, the line of the .pub file")
    if "\n" in text:
        raise ValueError("expected one key in one line")
    _, kind, blob = ssh_parts(text)
    if not _is_ssh_blob(kind, blob):
        raise ValueError("this OpenSSH public key is incomplete or damaged")
    return text


def host_key(text: str) -> str:
    """A server's key without what ssh-keyscan prints before it, the server's name."""
    _, kind, blob = ssh_parts(ssh_key(text))
    return f"{kind} {blob}"


def ssh_parts(text: str) -> tuple[str, str, str]:
    """Options, type and base64 of a line of authorized_keys; the first and the last may be empty. Raises ValueError."""
    # As sshd splits it: spaces within double quotes belong to an option.
    words = re.findall(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+', text)
    place = next((index for index, word in enumerate(words[:2]) if SSH_TYPE.fullmatch(word)), None)
    if place is None:
        raise ValueError("expected an OpenSSH public key such as ssh-ed25519 AAAA… name")
    blob = words[place + 1] if len(words) > place + 1 else ""
    return " ".join(words[:place]), words[place], blob


def _is_ssh_blob(kind: str, encoded: str) -> bool:
    """Whether `encoded` is a sequence of length-prefixed fields that fills it, led by its type."""
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
