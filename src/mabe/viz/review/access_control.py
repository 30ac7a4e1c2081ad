"""Access control of the review server: only the user's own page is served.

Listening on this machine only is not enough: any web page that is open in the browser
can send requests to the server, and a page whose domain name resolves to this machine
(DNS rebinding) could read the responses. So a request is accepted only if `Host` is
this server, `Origin` (where the browser sends it) is this server, and requests below
`/api/` carry the token of the session. The size of a body is limited as it arrives.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]


Message = MutableMapping[str, Any]


Receive = Callable[[], Awaitable[Message]]


Send = Callable[[Message], Awaitable[None]]


App = Callable[[Scope, Receive, Send], Awaitable[None]]


MOST_BODY_BYTES = 8_000_000
"""Over a hundred thousand bouts."""


TOKEN_HEADER = b"x-mabe-token"


_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
        b"base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI app around another, which forwards only requests of the user's page."""

    app: App
    port: int
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"a request of kind {scope['type']} is not served")
        if refusal := self.refusal(scope):
            await _refuse(send, *refusal)
            return
        body = await _read_body(receive)
        if body is None:
            await _refuse(send, 413, "the body is too large")
        else:
            await self.app(scope, _replayed(body, receive), _with_headers(send))

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return why a request is refused, None where it is not."""
        headers = dict(scope["headers"])
        if [name for name, _ in scope["headers"]].count(b"host") != 1:
            return 400, "exactly one Host is needed"
        if headers[b"host"].decode("latin-1").lower() not in self._hosts:
            return 403, "this server accepts requests to its own address only"
        if not self._is_own_page(headers):
            return 403, "requests of other pages are refused"
        if scope["path"].startswith("/api/") and not self._has_token(scope, headers):
            return 401, "the secret of this session is missing or wrong"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            return 413, "the body is too large"
        return None

    @property
    def _hosts(self) -> set[str]:
        return {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}

    def _is_own_page(self, headers: dict[bytes, bytes]) -> bool:
        """Return whether a request comes from our page, or from no page at all."""
        site = headers.get(b"sec-fetch-site", b"none")
        origin = headers.get(b"origin")
        own = {f"http://{host}" for host in self._hosts}
        is_own = origin is None or origin.decode("latin-1").lower() in own
        return is_own and site in (b"none", b"same-origin")

    def _has_token(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        given = headers.get(TOKEN_HEADER, b"").decode("latin-1")
        if not given and scope["path"] == "/api/video":
            # A video element cannot send headers.
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = query.get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self.token.encode())


async def _read_body(receive: Receive) -> bytes | None:
    """Return a request's body, None as soon as it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return `receive` for an app that is still to read the body."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def extended(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return extended


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
