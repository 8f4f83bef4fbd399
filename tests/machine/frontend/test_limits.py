"""Limits on size, duration and rate of requests, none of which an office of a hundred people reaches."""

import asyncio
import resource
import ssl
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.machine.frontend.conftest import Site
from tests.machine.frontend.wire import DOMAIN, SESSION, Frontend, Http2, status

MEGABYTE = 1024 * 1024
CHUNK = b"x" * MEGABYTE
TOO_LARGE = ("This is too large", "Das ist zu groß")
PEOPLE, EACH = 100, 8
OF_ONE, FROM_ONE = 4, 6
SLOW_CLIENTS = 2500
HEAD_SECONDS = 15
WATCHED = 300


def upload(frontend: Frontend, path: str, megabytes: int, method: str = "POST") -> httpx.Response:
    """Send a body of `megabytes`."""
    with frontend.client() as client:
        return client.request(method, path, content=(CHUNK for _ in range(megabytes)), headers=sized(megabytes))


def sized(megabytes: int) -> dict[str, str]:
    return {"Content-Length": str(megabytes * MEGABYTE), "Cookie": SESSION}


def test_a_document_of_150_megabytes_passes(recording: Frontend) -> None:
    assert upload(recording, "/documents/new/", 150).status_code == 200
    assert [request.length for request in recording.recorded()] == [150 * MEGABYTE]


@pytest.mark.parametrize(
    ("path", "megabytes"), [("/documents/new/", 151), ("/accounts/login/", 2), ("/signature/send/7/", 2)]
)
def test_what_is_larger_is_refused_with_a_page_that_says_so(recording: Frontend, path: str, megabytes: int) -> None:
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {megabytes * MEGABYTE}\r\nCookie: {SESSION}\r\n\r\n"
    )
    answer = recording.raw(request.encode())
    assert status(answer) == 413
    assert all(text.encode() in answer for text in TOO_LARGE)
    assert recording.recorded() == []


def test_nor_does_it_pass_in_chunks_or_behind_a_get(recording: Frontend) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    chunked = f"Host: {DOMAIN}\r\nCookie: {SESSION}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for line, chunks in (
        (b"POST / HTTP/1.1\r\n", 151),
        (b"GET / HTTP/1.1\r\n", 2),
        (b"POST /accounts/ HTTP/1.1\r\n", 2),
    ):
        assert status(recording.raw(line + chunked + chunk * chunks + b"0\r\n\r\n", patience=5)) == 413
    with recording.connect(alpn="h2") as connection:
        protocol = Http2(connection)
        pairs = ((":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/"))
        stream = protocol.send(pairs, end=False)
        for _ in range(8):
            protocol.send_body(stream, b"x" * 16384)
        assert protocol.status(stream, patience=5) == 413
    assert recording.recorded() == []


def begin(recording: Frontend, session: int) -> ssl.SSLSocket:
    """Start sending a large document, without finishing."""
    connection = recording.connect()
    head = f"POST /documents/new/ HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 20000000\r\n"
    connection.sendall(f"{head}Cookie: {SESSION}-{session}\r\n\r\n".encode())
    return connection


def answered(connection: ssl.SSLSocket) -> bytes:
    """Return what has been received by now."""
    connection.settimeout(0.6)
    try:
        return connection.recv(65536)
    except TimeoutError:
        return b""


def test_large_uploads_at_once_leave_room_for_others(recording: Frontend, site: Site) -> None:
    under_way = [begin(recording, session=1) for _ in range(OF_ONE)]
    try:
        time.sleep(1)
        with begin(recording, session=1) as another:
            answer = answered(another)
        assert status(answer) == 429
        assert b"Too much at once" in answer
        assert b"Zu viele Anfragen auf einmal" in answer
        under_way += [begin(recording, session=2) for _ in range(FROM_ONE - OF_ONE)]
        time.sleep(1)
        with begin(recording, session=3) as another:
            assert status(answered(another)) == 429
        assert [answered(connection) for connection in under_way] == [b""] * FROM_ONE
        with recording.client() as client:
            medium = client.post("/", content=b"x" * 9_000_000, headers={"Cookie": f"{SESSION}-3"})
            small = client.post("/documents/new/", content=b"abc")
        assert (medium.status_code, small.status_code) == (200, 200)
        large = f"curl -sk -o /dev/null -w '%{{http_code}}' -H 'Host: {DOMAIN}' --data-binary @- https://127.0.0.1/"
        assert site.demo.sh(f"head -c 20000000 /dev/zero | {large}") == "200"
    finally:
        for connection in under_way:
            connection.close()


def test_an_office_of_a_hundred_behind_one_address_is_not_refused(recording: Frontend) -> None:
    """All log in at the same moment; each has eight requests in progress, each on its own connection."""
    context = recording.context()

    async def person(number: int) -> list[int]:
        base = f"https://{recording.address}"
        async with httpx.AsyncClient(base_url=base, verify=context, http2=True, trust_env=False, timeout=60) as client:
            login = await client.post("/accounts/login/", data={"email": f"p{number}@example.org", "password": "x"})
            pages = await asyncio.gather(*(client.get(f"/slow/{number}/{page}") for page in range(EACH)))
        return [login.status_code, *(page.status_code for page in pages)]

    async def office() -> list[list[int]]:
        return await asyncio.gather(*(person(number) for number in range(PEOPLE)))

    seen = Counter(code for codes in asyncio.run(office()) for code in codes)
    assert seen == {200: PEOPLE * (EACH + 1)}
    assert len(recording.recorded()) == PEOPLE * (EACH + 1)


def test_passwords_cannot_be_tried_without_end(recording: Frontend) -> None:
    with recording.client() as client:
        began = time.monotonic()
        seen = Counter(client.post("/accounts/login/", data={"password": "x"}).status_code for _ in range(500))
        seconds = time.monotonic() - began
        assert client.get("/accounts/login/").status_code == 200
        assert client.post("/documents/new/", data={"a": "b"}).status_code == 200
    assert set(seen) == {200, 429}
    assert seen[200] <= 151 + 2 * seconds + 1


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise the limit of open files for this many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * SLOW_CLIENTS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_clients_do_not_keep_others_out_and_are_hung_up_on(recording: Frontend, many_files: None) -> None:
    """2,500 connections that send a header byte by byte."""

    async def slow(context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(recording.address, 443, ssl=context)
        writer.write(f"GET /slowly HTTP/1.1\r\nHost: {DOMAIN}\r\nX-A".encode())
        return reader, writer

    async def ended(reader: asyncio.StreamReader) -> bool:
        try:
            return status(await reader.read()) in (0, 408)
        except ConnectionError:
            return True

    async def attack() -> tuple[list[int], float, int]:
        context = recording.context()
        opened = [await slow(context)]
        began = time.monotonic()
        while len(opened) <= SLOW_CLIENTS:
            opened += await asyncio.gather(*(slow(context) for _ in range(100)))
        codes = [await asyncio.to_thread(recording.get_status) for _ in range(20)]
        await asyncio.wait_for(ended(opened[0][0]), 2 * HEAD_SECONDS)
        lived = time.monotonic() - began
        gone = await asyncio.wait_for(
            asyncio.gather(*(ended(reader) for reader, _ in opened[1:WATCHED])), 4 * HEAD_SECONDS
        )
        for _, writer in opened:
            writer.close()
        return codes, lived, sum(gone)

    codes, lived, gone = asyncio.run(attack())
    assert codes == [200] * 20
    assert lived <= HEAD_SECONDS + 5
    assert gone == WATCHED - 1
    assert [request.target for request in recording.recorded()] == ["/probe"] * 20
