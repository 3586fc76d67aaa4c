"""WebSockets over HTTP/2 (RFC 8441) on either side of the gateway or both, by PyPI's h2, wsproto, websockets and hypercorn.

    websocket_http2_protocol.py SCOPEGATE

    h2 with wsproto, or websockets → gateway → websockets (HTTP/1.1), or hypercorn (HTTP/2)

Exit 0 when every check holds; each prints one line. A key is never printed.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hypercorn.asyncio import serve as serve_asgi
from hypercorn.config import Config
from websockets.asyncio.server import serve
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage

from run import PATIENCE, Process, free_address, status
from websocket_protocol import Echo, Gateway, first, in_force, told

LARGE = 1 << 20


class Stream:
    """One WebSocket of a connection of HTTP/2, or the answer that there is none."""

    def __init__(self, caller, number):
        self.caller, self.number = caller, number
        self.status, self.headers, self.body = None, {}, b""
        self.ended, self.reset = False, None
        self.frames = Connection(ConnectionType.CLIENT)
        self.events = []

    def send(self, event):
        self.caller.send(self.number, self.frames.send(event))

    def take(self, data):
        self.body += data
        if self.status == 200 and data:
            self.frames.receive_data(data)
            self.events += self.frames.events()

    def next(self):
        """The next event; the pieces of a message are put together."""
        pieces = []
        while True:
            self.caller.until("a frame", lambda: self.events or self.over())
            assert self.events, f"it ended: {self.reset}"
            event = self.events.pop(0)
            if not isinstance(event, Message):
                return event
            pieces.append(event.data)
            if event.message_finished:
                return pieces[0][:0].join(pieces)

    def over(self):
        return self.ended or self.reset is not None


class Caller:
    """A connection of HTTP/2 that nobody here has framed."""

    def __init__(self, address):
        host, port = address.split(":")
        self.authority = address
        self.socket = socket.create_connection((host, int(port)), timeout=0.05)
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams, self.settings = {}, {}
        self.flush()

    def flush(self):
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(self.h2.data_to_send())
        self.socket.settimeout(0.05)

    def read(self):
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return
        assert data, "the gateway closed the connection"
        for event in self.h2.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            if isinstance(event, RemoteSettingsChanged):
                self.settings |= {code: change.new_value for code, change in event.changed_settings.items()}
            elif stream is None:
                continue
            elif isinstance(event, ResponseReceived):
                stream.headers = dict(event.headers)
                stream.status = int(stream.headers[":status"])
            elif isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                stream.take(event.data)
            elif isinstance(event, StreamEnded):
                stream.ended = True
            elif isinstance(event, StreamReset):
                stream.reset = event.error_code
        self.flush()

    def until(self, what, found):
        end = time.monotonic() + PATIENCE
        while not found():
            assert time.monotonic() < end, f"waited for {what}"
            self.read()

    def send(self, number, data):
        while data:
            self.until("room", lambda: self.h2.local_flow_control_window(number) > 0)
            size = min(len(data), self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            self.h2.send_data(number, data[:size])
            data = data[size:]
            self.flush()

    def ask(self, key, path="/live", protocol="websocket", **more):
        number = self.h2.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        headers = [(":method", "CONNECT"), (":scheme", "http"), (":path", path), (":authority", self.authority)]
        headers += [(":protocol", protocol), ("sec-websocket-version", "13"), *more.items()]
        headers += [("authorization", f"Bearer {key}")] if key else []
        self.h2.send_headers(number, headers)
        self.flush()
        self.until("an answer", lambda: stream.status)
        return stream

    def close(self):
        self.socket.close()


def messages(caller, key):
    live = caller.ask(key, "/live?room=1", **{"sec-websocket-protocol": "chat"})
    assert live.status == 200, live.status
    assert live.headers.get("sec-websocket-protocol") == "chat", live.headers
    for gone in ("connection", "upgrade", "sec-websocket-accept"):
        assert gone not in live.headers, live.headers
    for text in ("", "text", "\u00e4\u20ac" * 1000):
        live.send(TextMessage(data=text))
        assert live.next() == text
    data = os.urandom(LARGE)
    live.send(BytesMessage(data=data))
    assert live.next() == data
    live.send(Ping(payload=b"there?"))
    assert isinstance(live.next(), Pong)
    live.send(CloseConnection(code=1000))
    assert isinstance(live.next(), CloseConnection)
    told("text, bytes, 1 MiB and pings pass over HTTP/2, and the close frame is answered")


def many(caller, key):
    streams = [caller.ask(key) for _ in range(50)]
    for turn in range(5):
        for stream in streams:
            stream.send(TextMessage(data=f"{stream.number} {turn}"))
        for stream in streams:
            assert stream.next() == f"{stream.number} {turn}"
    for stream in streams:
        caller.h2.reset_stream(stream.number, ErrorCodes.CANCEL)
    caller.flush()
    told("50 WebSockets on one connection get their own answers")


def refused(caller, gateway, key):
    _, other = gateway.key("--no-scopes")
    asyncio.run(in_force(gateway, other))
    cases = ((None, "/live", "websocket", 401), ("sg_nobody", "/live", "websocket", 401), (other, "/live", "websocket", 403),
             (key, "/plain", "websocket", 403), (key, "/live", "connect-udp", 403))
    for presented, path, protocol, expected in cases:
        stream = caller.ask(presented, path, protocol)
        assert stream.status == expected, f"{path}: {stream.status}, not {expected}"
        caller.until("its end", stream.over)
        assert json.loads(stream.body)["status"] == expected
        assert stream.headers["content-type"] == "application/problem+json"
    told("without the scope, on a route without `upgrade`, or for another protocol there is no tunnel")


def revoked(caller, gateway, other):
    name, key = gateway.key("--scopes", "live:read")
    asyncio.run(in_force(gateway, key))
    live, bystander = caller.ask(key), caller.ask(other)
    live.send(TextMessage(data="hello"))
    assert live.next() == "hello"
    gateway.command("keys", "revoke", name)
    begun = time.monotonic()
    closed = live.next()
    caller.until("the end of the stream", live.over)
    took = time.monotonic() - begun
    assert (closed.code, closed.reason) == (1008, "invalid_key"), closed
    assert live.ended, "it ends in order"
    bystander.send(TextMessage(data="still here"))
    assert bystander.next() == "still here"
    told(f"a revoked key ended its WebSocket with 1008 after {took:.2f} s, and no other of its connection")


def callers_of_http_2(gateway, key):
    caller = Caller(gateway.listen)
    caller.until("the settings", lambda: SettingCodes.ENABLE_CONNECT_PROTOCOL in caller.settings)
    assert caller.settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
    messages(caller, key)
    many(caller, key)
    refused(caller, gateway, key)
    revoked(caller, gateway, key)
    caller.close()


async def callers_of_http_1(gateway, key):
    async with gateway.live(key, subprotocols=["chat"]) as live:
        assert live.subprotocol == "chat"
        for message in ("text", os.urandom(LARGE)):
            await live.send(message)
            assert await live.recv() == message
    told("a caller of HTTP/1.1 reaches WebSockets of an upstream that has them over HTTP/2 alone")


class Application:
    """An echo for hypercorn (ASGI), that keeps what it was asked."""

    def __init__(self):
        self.scopes = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            return await send({"type": "lifespan.shutdown.complete"})
        assert scope["type"] == "websocket", scope["type"]
        self.scopes.append(scope)
        await receive()
        offered = scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def with_gateway(binary, upstream, protocol, checks):
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(binary, folder, upstream, protocol)
        with Process(binary, ["serve"], folder, gateway.environment) as process:
            ready = lambda: status(gateway.admin, "GET", "/readyz", {}) == 200
            await asyncio.to_thread(process.until, "the gateway to be ready", ready)
            _, key = gateway.key("--scopes", "live:read")
            await in_force(gateway, key)
            await checks(gateway, key)
            assert key not in process.said, "the key is in the log"


async def main(binary):
    echo = Echo()

    async def before_http_1(gateway, key):
        await asyncio.to_thread(callers_of_http_2, gateway, key)
        seen = echo.requests[0].headers
        assert seen["X-ScopeGate-Key-Id"].startswith("key_") and "Authorization" not in seen

    async with serve(echo, "127.0.0.1", 0, max_size=None, select_subprotocol=first) as server:
        await with_gateway(binary, "127.0.0.1:%d" % server.sockets[0].getsockname()[1], "h1", before_http_1)

    application, address, stopped = Application(), free_address(), asyncio.Event()

    async def before_http_2(gateway, key):
        await callers_of_http_1(gateway, key)
        await asyncio.to_thread(callers_of_http_2, gateway, key)
        assert {scope["http_version"] for scope in application.scopes} == {"2"}
        names = {name for scope in application.scopes for name, _ in scope["headers"]}
        assert not names & {b"authorization", b"sec-websocket-key", b"upgrade", b"connection"}, names

    config = Config()
    config.bind, config.websocket_max_message_size, config.loglevel = [address], 4 * LARGE, "CRITICAL"
    hypercorn = asyncio.create_task(serve_asgi(application, config, shutdown_trigger=stopped.wait))
    await with_gateway(binary, address, "h2c", before_http_2)
    stopped.set()
    await asyncio.wait_for(hypercorn, PATIENCE)


if __name__ == "__main__":
    asyncio.run(main(str(Path(sys.argv[1]).resolve())))
