"""A server that records what reaches it in place of the application. Runs in the machine, with its own Python.

    python3 recorder.py PORT FILE

FILE gets one JSON object per line: head and body of each request as received (latin-1), the body's length, and the
number of the connection. /slow answers after 0.4 s, /close ends the connection after its answer; any other path is
answered at once. The frontend's own requests for the state of a session are not recorded: sessions whose names begin
with `good` are known, `barred` ones are not allowed anything, no others exist. Known users are redirected to a page,
as ECS does it.
"""

import asyncio
import itertools
import json
import sys
from pathlib import Path

SLOW_SECONDS = 0.4
KEPT_BODY = 4096
CHUNK = 256 * 1024
ANSWER = b"recorded"
ASKS = "appliance"  # the user agent of the frontend's own requests
numbers = itertools.count(1)


def known(cookie: str) -> bytes:
    """Return the answer to the frontend's request for the state of a session."""
    if "sessionid=good" in cookie:
        head = b"302 Found\r\nLocation: /dashboard/"
    elif "sessionid=barred" in cookie:
        head = b"403 Forbidden"
    else:
        head = b"302 Found\r\nLocation: /accounts/login/?next=/"
    return b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n"


async def read_sized(reader: asyncio.StreamReader, length: int) -> tuple[bytes, int]:
    kept, left = b"", length
    while left:
        piece = await reader.readexactly(min(left, CHUNK))
        kept = (kept + piece)[:KEPT_BODY]
        left -= len(piece)
    return kept, length


async def read_chunked(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    kept, length = b"", 0
    while size := int((await reader.readline()).split(b";")[0], 16):
        piece = await reader.readexactly(size)
        kept, length = (kept + piece)[:KEPT_BODY], length + size
        await reader.readline()
    await reader.readuntil(b"\r\n")
    return kept, length


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, file: Path) -> None:
    connection = next(numbers)
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:]}
            chunked = "chunked" in fields.get("transfer-encoding", "")
            reading = read_chunked(reader) if chunked else read_sized(reader, int(fields.get("content-length", 0)))
            body, length = await reading
            if fields.get("user-agent") == ASKS:
                writer.write(known(fields.get("cookie", "")))
                await writer.drain()
                continue
            with file.open("a") as lines:
                said = {"head": head, "body": body.decode("latin-1"), "length": length, "connection": connection}
                lines.write(json.dumps(said) + "\n")
            method, target = head.split(" ", 2)[:2]
            if target.startswith("/slow"):
                await asyncio.sleep(SLOW_SECONDS)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(ANSWER))
            writer.write(ANSWER if method != "HEAD" else b"")
            await writer.drain()
            if target.startswith("/close"):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, file: Path) -> None:
    file.touch()
    server = await asyncio.start_server(lambda r, w: serve(r, w, file), "127.0.0.1", port, limit=CHUNK, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
