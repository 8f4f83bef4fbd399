"""The clouds' metadata services, simulated by a real server on the loopback address."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from ecs_appliance.core.paths import Paths
from ecs_appliance.core.runner import SystemRunner
from ecs_appliance.env.discovery import find_env
from ecs_appliance.env.metadata import Ec2Source, GceSource, Hints, _ask
from ecs_appliance.env.source import FoundEnv, NoEnvironmentError, SourceError, SourceKind

EC2, GCE, OTHER, NOWHERE = Hints(ec2=True), Hints(gce=True), Hints(other=True), Hints()
DATA = b"#cloud-config\nappliance: {standby: true}\n"
TOKEN = "a-token"
Answer = tuple[int, bytes]
Service = Callable[[str, str, dict[str, str]], Answer]


def version_2(method: str, path: str, headers: dict[str, str]) -> Answer:
    """EC2 today: no answer without a token."""
    if (method, path) == ("PUT", "/latest/api/token") and "x-aws-ec2-metadata-token-ttl-seconds" in headers:
        return 200, TOKEN.encode()
    if headers.get("x-aws-ec2-metadata-token") != TOKEN:
        return 401, b""
    return (200, DATA) if (method, path) == ("GET", "/latest/user-data") else (404, b"")


def version_1(method: str, path: str, headers: dict[str, str]) -> Answer:
    """OpenStack's variant: it has no tokens, and rejects headers it does not know."""
    if method == "PUT":
        return 405, b""
    return (200, DATA) if path == "/latest/user-data" and not any("token" in name for name in headers) else (404, b"")


def google(method: str, path: str, headers: dict[str, str]) -> Answer:
    if method != "GET" or headers.get("metadata-flavor") != "Google":
        return 403 if method == "GET" else 405, b""
    known = {"/computeMetadata/v1/instance/id": b"1", "/computeMetadata/v1/instance/attributes/user-data": DATA}
    return (200, known[path]) if path in known else (404, b"")


def with_user_data(answer: Answer) -> Service:
    """Return EC2 with a different answer to the request for user-data."""

    def service(method: str, path: str, headers: dict[str, str]) -> Answer:
        return answer if path == "/latest/user-data" else version_2(method, path, headers)

    return service


@contextmanager
def serving(service: Service, *, flavor: str = "") -> Iterator[str]:
    """Yield the base URL of a server that answers as `service` does."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = service(self.command, self.path, headers)
            self.send_response(status)
            if flavor:
                self.send_header("Metadata-Flavor", flavor)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _answer  # noqa: N815 # names of the base class

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def closed() -> str:
    """Return the URL of a port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def mute() -> Iterator[str]:
    """Yield the URL of a port that accepts connections but never answers, as behind some firewalls."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("service", [version_2, version_1], ids=["version 2", "version 1"])
@pytest.mark.parametrize("hints", [EC2, OTHER], ids=["named", "possible"])
def test_ec2_is_read(service: Service, hints: Hints) -> None:
    with serving(service) as url:
        source = Ec2Source(hints, url)
        assert source.detect()
        assert source.get() == FoundEnv(DATA, f"EC2 metadata service ({url})", SourceKind.NETWORK)


@pytest.mark.parametrize("hints", [GCE, OTHER], ids=["named", "possible"])
def test_gce_is_read(hints: Hints) -> None:
    with serving(google, flavor="Google") as url:
        source = GceSource(hints, url)
        assert source.detect()
        assert source.get() == FoundEnv(DATA, f"GCE metadata service ({url})", SourceKind.NETWORK)


def test_each_service_is_asked_by_its_own_rules() -> None:
    """Both clouds use the same address, so the search asks GCE's service for EC2's data first."""
    with serving(google, flavor="Google") as url:
        assert Ec2Source(OTHER, url).get() is None
    with serving(version_2) as url:
        assert GceSource(OTHER, url).get() is None


@pytest.mark.parametrize("answer", [(404, b""), (200, b""), (200, b"\n")], ids=["404", "nothing", "a line"])
def test_an_instance_without_user_data_has_no_environment(answer: Answer) -> None:
    with serving(with_user_data(answer)) as url:
        assert Ec2Source(EC2, url).get() is None


@pytest.mark.parametrize("status", [301, 401, 403, 500])
def test_a_service_that_refuses_the_user_data_is_broken(status: int) -> None:
    with serving(with_user_data((status, b""))) as url, pytest.raises(SourceError, match=f"status {status}"):
        Ec2Source(EC2, url).get()


def test_a_service_that_forbids_tokens_is_broken_and_says_what_to_do() -> None:
    with serving(lambda *_: (403, b"")) as url, pytest.raises(SourceError, match="refuses to issue a token") as caught:
        Ec2Source(EC2, url).get()
    assert caught.value.hint == "allow the instance to use its metadata service"


def test_gzipped_user_data_is_unpacked() -> None:
    with serving(with_user_data((200, gzip.compress(DATA)))) as url:
        found = Ec2Source(EC2, url).get()
    assert found is not None and found.data == DATA


@pytest.mark.parametrize("body", [b"#" * 10_000_000, gzip.compress(b"#" * 10_000_000)], ids=["plain", "gzip bomb"])
def test_of_ten_megabytes_only_enough_to_refuse_them_is_read(body: bytes) -> None:
    with serving(with_user_data((200, body))) as url:
        found = Ec2Source(EC2, url).get()
    assert found is not None and len(found.data) == 1024 * 1024 + 1


def test_a_cloud_whose_service_is_gone_is_broken(closed: str) -> None:
    with pytest.raises(SourceError, match="does not answer: Connection refused"):
        Ec2Source(EC2, closed).get()
    with pytest.raises(SourceError, match="does not answer: Connection refused"):
        GceSource(GCE, closed).get()


@pytest.mark.parametrize("service", [version_2, google], ids=["EC2", "GCE"])
def test_where_nobody_names_a_cloud_nobody_is_asked(service: Service, tmp_path: Path) -> None:
    """Anyone in the LAN could answer at that address."""
    asked = []

    def noting(method: str, path: str, headers: dict[str, str]) -> Answer:
        asked.append(path)
        return service(method, path, headers)

    with serving(noting, flavor="Google") as url, pytest.raises(NoEnvironmentError):
        find_env(Paths(tmp_path), SystemRunner(), sources=[Ec2Source(NOWHERE, url), GceSource(NOWHERE, url)])
    assert asked == []


def test_a_machine_that_may_have_a_service_does_not_wait_for_it(closed: str, mute: str, tmp_path: Path) -> None:
    for url in (closed, mute):
        began = time.monotonic()
        with pytest.raises(NoEnvironmentError):
            find_env(Paths(tmp_path), SystemRunner(), sources=[Ec2Source(OTHER, url), GceSource(OTHER, url)])
        assert time.monotonic() - began < 2


@contextmanager
def sending(*parts: bytes, pause: float = 0) -> Iterator[str]:
    """Yield the base URL of a server that sends `parts`, `pause` seconds before each, and closes the connection."""
    gone = Event()

    def serve(server: socket.socket) -> None:
        line, _ = server.accept()
        with line, suppress(OSError):
            line.recv(65536)
            for part in parts:
                if gone.wait(pause):
                    return
                line.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            gone.set()
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 1000\r\n\r\n" + DATA,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(DATA) + DATA + b"\r\n",
    ],
    ids=["by its length", "in chunks"],
)
def test_user_data_that_is_cut_off_is_no_environment(answer: bytes) -> None:
    with sending(answer) as url, pytest.raises(OSError):
        _ask("GET", url, "/latest/user-data", {}, 10)


def test_the_time_limit_is_one_for_the_whole_answer() -> None:
    """No single byte is late, but the whole answer is; without a length, it ends only with the connection."""
    with sending(HEAD + b"\r\n", *[b"#"] * 100, pause=0.05) as url, pytest.raises(OSError):
        _ask("GET", url, "/latest/user-data", {}, 0.4)
