"""Which certificate is served for a name: the given one, else the one by ACME, else a self-signed one."""

import datetime
from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from ecs_appliance.env import pem
from ecs_appliance.env.model import Env
from ecs_appliance.tls.credentials import Credentials, CredentialsError, general_name, now, read_credentials

Source = Literal["given", "acme", "snakeoil"]
# So shortly before its end a certificate is no longer relied upon.
MARGIN = datetime.timedelta(days=1)
# Certificates that live for hours are relied upon for most of them.
MARGIN_PART = 10


@dataclass(frozen=True)
class Wanted:
    """What env.yml says of the certificates; `names` begins with the domain."""

    names: tuple[str, ...]
    given: tuple[str, str] | None = None
    acme: bool = False

    def __repr__(self) -> str:
        return f"Wanted({', '.join(self.names)}, given={self.given is not None}, acme={self.acme})"


@dataclass(frozen=True)
class Selection:
    """What is served for `name`; `refused` says why a better source is not."""

    name: str
    source: Source
    credentials: Credentials
    refused: str = ""


def wanted_of(env: Env) -> Wanted:
    """What `env` wants."""
    ssl = env.appliance.ssl
    return wanted(env.appliance.server_names, ssl.key.get_secret_value(), ssl.cert, acme=ssl.letsencrypt.enabled)


def wanted(names: tuple[str, ...], key: str, cert: str, *, acme: bool) -> Wanted:
    """The same of plain values: a given pair has both texts, and then nothing is asked of ACME."""
    given = (key, cert) if key.strip() and cert.strip() else None
    return Wanted(tuple(names), given, acme and given is None)


def can_be_validated(name: str) -> bool:
    """Whether ACME's HTTP-01 can prove `name`: no wildcard, no address, not this machine's own name for itself."""
    return "*" not in name and name != "localhost" and isinstance(general_name(name), x509.DNSName)


def margin(credentials: Credentials) -> datetime.timedelta:
    """How long before its end `credentials` are given up where they were not renewed."""
    return min(MARGIN, credentials.lifetime / MARGIN_PART)


def select(name: str, want: Wanted, *, issued: Credentials | str, snakeoil: Credentials) -> Selection:
    """The certificate for `name`. `issued` is what ACME got for it, or why there is nothing."""
    refused = ""
    if want.given is not None:
        chosen = _given(want.given)
        if isinstance(chosen, Credentials):
            return Selection(name, "given", chosen)
        refused = f"the certificate of env.yml is refused: {chosen}"
    elif want.acme and can_be_validated(name):
        reason = issued if isinstance(issued, str) else _unfit(name, issued)
        if isinstance(issued, Credentials) and not reason:
            return Selection(name, "acme", issued)
        refused = reason
    return Selection(name, "snakeoil", snakeoil, refused)


def _given(pair: tuple[str, str]) -> Credentials | str:
    try:
        credentials = read_credentials(*pair)
    except CredentialsError as error:
        return error.message
    return pem.unusable_since(credentials.chain) or credentials


def _unfit(name: str, issued: Credentials) -> str:
    if not issued.covers(name):
        return "the certificate by ACME is for another name"
    if issued.leaf.not_valid_before_utc > now():
        return "the certificate by ACME is not valid yet"
    if issued.expires - now() < margin(issued):
        return f"the certificate by ACME ends on {issued.expires:%Y-%m-%d %H:%M} UTC and was not renewed"
    return ""
