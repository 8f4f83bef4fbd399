"""Select the certificate to serve for a name: the given one, else the one by ACME, else a self-signed one."""

import datetime
from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from ecs_appliance.env import pem
from ecs_appliance.env.model import Env
from ecs_appliance.tls.credentials import Credentials, CredentialsError, general_name, now, read_credentials

Source = Literal["given", "acme", "snakeoil"]
# A certificate by ACME is no longer used this long before it expires.
MARGIN = datetime.timedelta(days=1)
# Or this part of its lifetime, if that is shorter: some certificates are valid for hours only.
MARGIN_PART = 10
LONGEST_SUBJECT = 64


@dataclass(frozen=True)
class Wanted:
    """What env.yml requests; `names` begins with the domain.

    `given` is its pair if usable, `refused` the reason if not; `acme` says whether to use ACME.
    """

    names: tuple[str, ...]
    given: Credentials | None = None
    refused: str = ""
    acme: bool = False


@dataclass(frozen=True)
class Selection:
    """What to serve for `name`; `refused` says why there is only a self-signed certificate instead of one by ACME."""

    name: str
    source: Source
    credentials: Credentials
    refused: str = ""


def wanted_of(env: Env) -> Wanted:
    """Return what `env` requests."""
    ssl = env.appliance.ssl
    return wanted(env.appliance.server_names, ssl.key.get_secret_value(), ssl.cert, acme=ssl.letsencrypt.enabled)


def wanted(names: tuple[str, ...], key: str, cert: str, *, acme: bool) -> Wanted:
    """Return the request for plain values, verified now. ACME is used only without a usable given pair."""
    if not (key.strip() and cert.strip()):
        return Wanted(tuple(names), acme=acme)
    try:
        given = read_credentials(key, cert)
        reason = pem.unusable_since(given.chain)
    except CredentialsError as error:
        reason = error.message
    if reason:
        return Wanted(tuple(names), refused=f"the certificate in env.yml is not used: {reason}", acme=acme)
    return Wanted(tuple(names), given)


def can_be_validated(name: str) -> bool:
    """Return whether ACME's HTTP-01 challenge can validate `name`: no wildcard, no IP address, not localhost.

    The client also puts the name into the subject of its request, which is limited to 64 characters.
    """
    fits = "*" not in name and name != "localhost" and len(name) <= LONGEST_SUBJECT
    return fits and isinstance(general_name(name), x509.DNSName)


def margin(credentials: Credentials) -> datetime.timedelta:
    """Return how long before they expire `credentials` are no longer used if they were not renewed."""
    return min(MARGIN, credentials.lifetime / MARGIN_PART)


def select(name: str, want: Wanted, *, issued: Credentials | str, snakeoil: Credentials) -> Selection:
    """Return the certificate for `name`. `issued` is the one by ACME, or the reason why there is none."""
    if want.given is not None:
        return Selection(name, "given", want.given)
    if not (want.acme and can_be_validated(name)):
        return Selection(name, "snakeoil", snakeoil)
    reason = issued if isinstance(issued, str) else _unfit(name, issued)
    if isinstance(issued, Credentials) and not reason:
        return Selection(name, "acme", issued)
    return Selection(name, "snakeoil", snakeoil, reason)


def _unfit(name: str, issued: Credentials) -> str:
    if not issued.covers(name):
        return "the ACME certificate is for a different name"
    if issued.leaf.not_valid_before_utc > now():
        return "the ACME certificate is not valid yet"
    if issued.expires - now() < margin(issued):
        return f"the ACME certificate expires on {issued.expires:%Y-%m-%d %H:%M} UTC and was not renewed"
    return ""
