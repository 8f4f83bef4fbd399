"""A real mail server on 127.0.0.1 with prepared answers."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HANG_UP, SILENCE = "hang up", "silence"


@dataclass(frozen=True)
class Received:
    """A received mail, and how it arrived."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str
    encrypted: bool


@dataclass
class PostOffice:
    """`answers` are by command (MAIL, DATA) or recipient: a line of SMTP, HANG_UP or SILENCE; `users` may log in."""

    answers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    greeted_by: str = ""

    async def handle_MAIL(  # noqa: N802 # aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.greeted_by = str(session.host_name)
        if self.users and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer(server, "MAIL")

    async def handle_RCPT(  # noqa: N802 # aiosmtpd finds it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer(server, address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._answer(server, "DATA")
        if answer.startswith("250"):
            user = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else ""
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            encrypted = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
            self.received.append(Received(str(envelope.mail_from), tuple(envelope.rcpt_tos), content, user, encrypted))
        return answer

    async def _answer(self, server: SMTP, step: str) -> str:
        answer = self.answers.get(step, "250 OK")
        if answer == HANG_UP:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        if answer in (HANG_UP, SILENCE):
            await asyncio.sleep(3600)
        return answer

    def _check(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False, auth_data=data)

    @contextmanager
    def open(self, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None) -> Iterator[int]:
        """Run the server, and yield its port; with `tls` from the start, or `starttls`."""

        def serve() -> SMTP:
            loop = asyncio.get_running_loop()
            return SMTP(
                self,
                hostname="mail.example.org",
                loop=loop,
                tls_context=starttls,
                authenticator=self._check if self.users else None,
                auth_require_tls=tls is None,
            )

        with listening(serve, tls) as port:
            yield port


class Recitation(asyncio.Protocol):
    """Send `text` without reading anything, one byte every `pause` seconds."""

    def __init__(self, text: bytes, pause: float) -> None:
        self.text, self.pause = text, pause

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.task = asyncio.get_running_loop().create_task(self._recite())

    def connection_lost(self, _error: Exception | None) -> None:
        self.task.cancel()

    async def _recite(self) -> None:
        for byte in self.text:
            self.transport.write(bytes([byte]))
            await asyncio.sleep(self.pause)
        self.transport.close()


@contextmanager
def listening(protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield a port where a thread serves each connection with a new `protocol`."""
    started: SimpleQueue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()

    async def serve() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
        started.put((server.sockets[0].getsockname()[1], loop, over))
        await over.wait()
        server.close()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    port, loop, over = started.get(timeout=10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
