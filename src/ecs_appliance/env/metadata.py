"""Environments from the metadata services of clouds: EC2 (and compatible ones), GCE.

Whatever answers at their address is trusted like root. So it is queried only if the firmware, or `ecs.metadata` on the
kernel's command line, says that the machine runs in a cloud.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.sockets import cut_after
from ecs_appliance.env.source import MOST_BYTES, FoundEnv, SourceError, SourceKind, user_data

LINK_LOCAL = "http://169.254.169.254"
QUICK_SECONDS = 0.4
PATIENT_SECONDS = 10.0
TOKEN_SECONDS = 60
OK, FORBIDDEN, NOT_FOUND = 200, 403, 404
# Replies of version 1 services, such as OpenStack's, to a request for a token.
WITHOUT_TOKENS = (NOT_FOUND, 405, 501)
DMI_FIELDS = ("sys_vendor", "bios_vendor", "bios_version", "product_name", "product_uuid", "chassis_asset_tag")


# On the kernel's command line, for clouds that the firmware does not identify.
OPT_IN = "ecs.metadata"


@dataclass(frozen=True)
class Hints:
    """Which cloud this is: `ec2` or `gce`, whose service must answer, or `other`, which may have a compatible one."""

    ec2: bool = False
    gce: bool = False
    other: bool = False


@dataclass(frozen=True)
class Answer:
    """Response of a service; `server_is_google` says whether it is GCE's."""

    status: int
    body: bytes
    server_is_google: bool


def read_hints(paths: Paths) -> Hints:
    """Read the hints from firmware and kernel command line. OpenStack may have an EC2-compatible service."""
    values = [_read(paths, f"/sys/class/dmi/id/{name}") for name in DMI_FIELDS]
    named = " ".join(values)
    by_uuid = any(
        _read(paths, file).startswith("ec2") for file in ("/sys/class/dmi/id/product_uuid", "/sys/hypervisor/uuid")
    )
    ec2, gce = by_uuid or "amazon" in named, "google" in named
    opted_in = OPT_IN in _read(paths, "/proc/cmdline").split()
    return Hints(ec2=ec2, gce=gce, other=not (ec2 or gce) and ("openstack" in named or opted_in))


def _read(paths: Paths, file: str) -> str:
    try:
        return paths.at(file).read_text(errors="replace").strip().lower()
    except OSError:
        return ""


@dataclass(frozen=True)
class Ec2Source:
    """User-data of EC2, using a token, which version 2 of its service requires."""

    hints: Hints
    base_url: str = LINK_LOCAL

    def detect(self) -> bool:
        return self.hints.ec2 or (self.hints.other and _answers(self.base_url))

    def get(self) -> FoundEnv | None:
        timeout = PATIENT_SECONDS if self.hints.ec2 else QUICK_SECONDS
        try:
            answer = self._ask_token(timeout)
        except OSError as error:
            # Accepts connections but is not a metadata service, so this is not EC2.
            if not self.hints.ec2:
                return None
            raise SourceError(f"the EC2 metadata service at {self.base_url} does not answer: {_why(error)}") from None
        if answer.server_is_google:
            return None
        token = _token(answer)
        headers = {"X-aws-ec2-metadata-token": token} if token else {}
        return _user_data("EC2", self.base_url, "/latest/user-data", headers)

    def _ask_token(self, timeout: float) -> Answer:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        return _ask("PUT", self.base_url, "/latest/api/token", headers, timeout)


def _token(answer: Answer) -> str:
    """Return the session token; empty if the service does not use tokens. Raise SourceError."""
    if answer.status == OK:
        return answer.body.decode("ascii", errors="replace").strip()
    if answer.status in WITHOUT_TOKENS:
        return ""
    hint = "allow the instance to use its metadata service" if answer.status == FORBIDDEN else ""
    raise SourceError(f"the EC2 metadata service refuses to issue a token: status {answer.status}", hint)


@dataclass(frozen=True)
class GceSource:
    """The attribute `user-data` of a GCE instance."""

    hints: Hints
    base_url: str = LINK_LOCAL

    def detect(self) -> bool:
        return self.hints.gce or (self.hints.other and _answers(self.base_url))

    def get(self) -> FoundEnv | None:
        headers = {"Metadata-Flavor": "Google"}
        path = "/computeMetadata/v1/instance/attributes/user-data"
        timeout = PATIENT_SECONDS if self.hints.gce else QUICK_SECONDS
        try:
            is_google = _ask("GET", self.base_url, "/computeMetadata/v1/instance/id", headers, timeout).server_is_google
        except OSError as error:
            if not self.hints.gce:
                return None
            raise SourceError(f"the GCE metadata service at {self.base_url} does not answer: {_why(error)}") from None
        return _user_data("GCE", self.base_url, path, headers) if is_google else None


def _user_data(cloud: str, base_url: str, path: str, headers: Mapping[str, str]) -> FoundEnv | None:
    origin = f"{cloud} metadata service ({base_url})"
    try:
        answer = _ask("GET", base_url, path, headers, PATIENT_SECONDS)
    except OSError as error:
        raise SourceError(f"{origin} did not answer completely: {_why(error)}") from None
    if answer.status == NOT_FOUND:
        return None
    if answer.status != OK:
        raise SourceError(f"{origin} refuses to return the user-data: status {answer.status}")
    return user_data(answer.body, origin, SourceKind.NETWORK)


def _answers(base_url: str) -> bool:
    connection = _connection(base_url, QUICK_SECONDS)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _ask(method: str, base_url: str, path: str, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send one request, without proxy or redirects.

    Raise OSError if the connection takes longer than `timeout` seconds, or the response longer than that again.
    """
    connection = _connection(base_url, timeout)
    try:
        connection.connect()
        with cut_after(connection.sock, timeout) as is_cut:
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(MOST_BYTES)
        # http.client does not report a truncated body, and half an environment may look complete.
        if is_cut.is_set() or (response.length and len(body) < MOST_BYTES):
            raise ConnectionError("the answer is truncated")
        return Answer(response.status, body, response.getheader("Metadata-Flavor") == "Google")
    except http.client.HTTPException as error:
        raise ConnectionError(type(error).__name__) from None
    finally:
        connection.close()


def _connection(base_url: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(base_url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)


def _why(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
