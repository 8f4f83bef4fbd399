"""Raw traffic with the frontend: requests that no library would send, and client certificates of any kind."""

import json
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

if TYPE_CHECKING:
    from tests.machine.conftest import Demo

DOMAIN = "ecs.demo.internal"
RECORDER = Path(__file__).with_name("recorder.py")
RECORD = "/run/recorder.jsonl"
APPLICATION = 5000
SECONDS = 10.0
# A session known to the recorder, and one that is not.
SESSION = "sessionid=good"
FORGED = "sessionid=forged"
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Identity:
    """A client certificate with its key in one PEM file; `serial` as nginx writes it."""

    name: str
    file: Path
    serial: str


@dataclass(frozen=True)
class Recorded:
    """A request as it reached the application."""

    method: str
    target: str
    fields: Sequence[tuple[str, str]]
    body: str
    length: int

    @classmethod
    def of(cls, line: str) -> "Recorded":
        """Parse a line written by the recorder."""
        said = json.loads(line)
        first, *fields = said["head"].rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = tuple((name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields))
        return cls(method, target, pairs, said["body"], said["length"])

    def all(self, name: str) -> list[str]:
        """Return every value of the header `name`."""
        return [value for field, value in self.fields if field == name.lower()]


@dataclass(frozen=True)
class Frontend:
    """The site as seen from outside; `trust` is the CA of its certificate."""

    demo: "Demo"
    trust: Path

    @property
    def address(self) -> str:
        return self.demo.address

    @property
    def client_address(self) -> str:
        """The address of this host, as the site sees it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self.address, 443))
            return str(probe.getsockname()[0])

    def context(self, identity: Identity | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return a TLS context that trusts only this site."""
        context = ssl.create_default_context(cafile=str(self.trust))
        if identity is not None:
            context.load_cert_chain(identity.file)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def client(
        self, identity: Identity | None = None, *, http2: bool = False, version: ssl.TLSVersion | None = None
    ) -> httpx.Client:
        """Return an HTTP client with its own connections."""
        return httpx.Client(
            base_url=f"https://{self.address}",
            verify=self.context(identity, version),
            http1=not http2,
            http2=http2,
            trust_env=False,
            timeout=60,
        )

    def connect(
        self, *, sni: str | None = DOMAIN, alpn: str = "http/1.1", identity: Identity | None = None
    ) -> ssl.SSLSocket:
        """Open a TLS connection."""
        context = self.context(identity)
        context.check_hostname = sni == DOMAIN
        context.set_alpn_protocols([alpn])
        plain = socket.create_connection((self.address, 443), timeout=SECONDS)
        return context.wrap_socket(plain, server_hostname=sni)

    def raw(
        self, data: bytes, *, sni: str | None = DOMAIN, identity: Identity | None = None, patience: float = 0.6
    ) -> bytes:
        """Return the answer to `data`, read until the server closes or is silent for `patience` seconds."""
        with self.connect(sni=sni, identity=identity) as connection:
            return exchange(connection, data, patience)

    def plain(self, data: bytes, patience: float = 0.6) -> bytes:
        """Do the same on port 80, without TLS."""
        with socket.create_connection((self.address, 80), timeout=SECONDS) as connection:
            return exchange(connection, data, patience)

    def get_status(self, identity: Identity | None = None, path: str = "/probe") -> int:
        """Return the status of one request over its own connection."""
        request = f"GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"
        return status(self.raw(request.encode(), identity=identity, patience=SECONDS))

    def recorded(self) -> list[Recorded]:
        """Return what has reached the application since the last call."""
        lines = self.demo.sh(f"cat {RECORD}; : > {RECORD}").splitlines()
        return [Recorded.of(line) for line in lines]


def exchange(connection: socket.socket, data: bytes, patience: float) -> bytes:
    """Send `data`, and return the answer: all that arrives until the end or `patience` seconds of silence."""
    connection.settimeout(patience)
    answer = b""
    try:
        connection.sendall(data)
        while piece := connection.recv(65536):
            answer += piece
    except OSError:  # timeout or reset connection: return what has arrived
        pass
    return answer


def status(answer: bytes) -> int:
    """Return the status of the first response in `answer`, 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


@dataclass
class Http2:
    """An HTTP/2 connection that sends any headers, even invalid ones."""

    connection: ssl.SSLSocket

    def __post_init__(self) -> None:
        self.protocol = H2Connection(
            H2Configuration(
                validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
            )
        )
        self.protocol.initiate_connection()
        self.events: list[Event] = []
        self._flush()

    def send(self, headers: Headers, body: bytes = b"", *, end: bool = True) -> int:
        """Send a request, and return its stream."""
        stream = self.protocol.get_next_available_stream_id()
        self.protocol.send_headers(stream, headers, end_stream=end and not body)
        if body:
            self.protocol.send_data(stream, body, end_stream=end)
        self._flush()
        return stream

    def send_body(self, stream: int, data: bytes) -> None:
        """Send more of a body, as far as flow control allows."""
        while self.protocol.local_flow_control_window(stream) < len(data) and self._receive(1.0):
            if any(isinstance(event, (StreamReset, ConnectionTerminated)) for event in self.events):
                return
        if self.protocol.local_flow_control_window(stream) >= len(data):
            self.protocol.send_data(stream, data)
            self._flush()

    def status(self, stream: int, patience: float = 2.0) -> int:
        """Return the response status of `stream`; 0 if it ends, or `patience` seconds pass, without one."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for event in self.events:
                if isinstance(event, ResponseReceived) and event.stream_id == stream:
                    return int(dict(event.headers or [])[b":status"])
                ended = isinstance(event, ConnectionTerminated)
                if ended or (isinstance(event, StreamReset) and event.stream_id == stream):
                    return 0
            if not self._receive(deadline - time.monotonic()):
                return 0
        return 0

    def body(self, stream: int, patience: float = 2.0) -> bytes:
        """Return the response body of `stream`, as far as it arrives within `patience` seconds."""
        deadline = time.monotonic() + patience
        while not any(isinstance(event, StreamEnded) and event.stream_id == stream for event in self.events):
            if time.monotonic() > deadline or not self._receive(deadline - time.monotonic()):
                break
        pieces = [event.data for event in self.events if isinstance(event, DataReceived) and event.stream_id == stream]
        return b"".join(piece for piece in pieces if piece)

    def _receive(self, patience: float) -> bool:
        self.connection.settimeout(max(0.01, patience))
        try:
            data = self.connection.recv(65536)
        except OSError:
            return False
        self.events += self.protocol.receive_data(data) if data else []
        self._flush()
        return bool(data)

    def _flush(self) -> None:
        data = self.protocol.data_to_send()
        if data:
            self.connection.sendall(data)
