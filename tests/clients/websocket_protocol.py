"""WebSockets of PyPI's websockets on both sides, with the gateway between them.

    websocket_protocol.py SCOPEGATE

Exit 0 when every check holds; each prints one line. A key is never printed.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from run import PATIENCE, Process, free_address, status

CONFIG = """\
upstream: {{ url: "http://{upstream}", protocol: {protocol} }}
listen: "{listen}"
admin: {{ listen: "{admin}" }}
policy:
  version: 1
  routes:
    GET /live: {{ scopes: live:read, upgrade: websocket }}
    GET /plain: live:read
keys:
  store: sqlite:keys.db
  accept: [bearer, {{ query: api_key }}]
"""
LARGE = 16 << 20


class Echo:
    """The upstream: sends back what it gets, and closes when it is told to."""

    def __init__(self):
        self.requests = []
        self.closed = []

    async def __call__(self, peer):
        self.requests.append(peer.request)
        try:
            async for message in peer:
                if isinstance(message, str) and message.startswith("close "):
                    await peer.close(int(message.split()[1]), "as you wish")
                elif message == "ping me":
                    await (await peer.ping())
                    await peer.send("ponged")
                else:
                    await peer.send(message)
        except ConnectionClosed:
            # With another code than 1000, or without a word where its key was revoked.
            pass
        finally:
            self.closed.append((peer.close_code, peer.close_reason))


class Gateway:
    def __init__(self, binary, folder, upstream, protocol="h1"):
        self.binary, self.folder = binary, folder
        self.listen, self.admin = free_address(), free_address()
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder}
        config = CONFIG.format(upstream=upstream, protocol=protocol, listen=self.listen, admin=self.admin)
        (Path(folder) / "scopegate.yaml").write_text(config)

    def command(self, *arguments):
        command = [self.binary, *arguments]
        made = subprocess.run(command, cwd=self.folder, env=self.environment, text=True, capture_output=True)
        if made.returncode:
            raise SystemExit(f"{arguments[:2]} failed:\n{made.stderr}")
        return made.stdout

    def key(self, *grant):
        made = json.loads(self.command("keys", "create", "--name", "websocket", *grant, "--json"))
        return made["id"], made["key"]

    def live(self, key, path="/live", **options):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        settings = {"max_size": None, "open_timeout": PATIENCE, "close_timeout": PATIENCE, "proxy": None}
        return connect(f"ws://{self.listen}{path}", additional_headers=headers, **(settings | options))


def first(_, offered):
    """The subprotocol that the upstream takes."""
    return offered[0] if offered else None


def told(what):
    print(f"ok    {what}", flush=True)


async def in_force(gateway, key):
    end = time.monotonic() + PATIENCE
    while status(gateway.listen, "GET", "/none", {"Authorization": f"Bearer {key}"}) != 403:
        assert time.monotonic() < end, "the key is not in force"
        await asyncio.sleep(0.01)


async def messages(gateway, echo, key):
    for compression in (None, "deflate"):
        async with gateway.live(key, compression=compression, subprotocols=["chat"]) as live:
            assert live.subprotocol == "chat"
            for message in ("", "text", "\u00e4\u20ac" * 1000, b"", b"\x00\xff" * 40_000, os.urandom(LARGE)):
                await live.send(message)
                assert await live.recv() == message
            await live.send(["in ", "three ", "pieces"])
            assert await live.recv() == "in three pieces"
            await (await live.ping())
            await live.send("ping me")
            assert await live.recv() == "ponged"
    told("text, bytes, 16 MiB, fragments and pings pass, with compression and without")
    seen = echo.requests[-1].headers
    assert seen["X-ScopeGate-Key-Id"].startswith("key_") and "Authorization" not in seen
    async with gateway.live(None, f"/live?api_key={key}&room=1") as live:
        await live.send("hello")
        assert await live.recv() == "hello"
    assert echo.requests[-1].path == "/live?room=1"
    told("the upstream knows the key by its id, and a key in the query does not reach it")


async def many(gateway, key):
    async def talk(number):
        async with gateway.live(key) as live:
            for turn in range(20):
                await live.send(f"{number} {turn}")
                assert await live.recv() == f"{number} {turn}"

    await asyncio.gather(*(talk(number) for number in range(50)))
    told("50 connections at once get their own answers")


async def closing(gateway, echo, key):
    async with gateway.live(key) as live:
        await live.send("close 4001")
        try:
            await live.recv()
            raise AssertionError("it stayed open")
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as you wish")
    live = await gateway.live(key)
    await live.close(4002, "enough")
    end = time.monotonic() + PATIENCE
    while (4002, "enough") not in echo.closed:
        assert time.monotonic() < end, f"the upstream saw {echo.closed[-3:]}"
        await asyncio.sleep(0.01)
    told("close codes and reasons pass both ways")


async def refused(gateway, key):
    _, other = gateway.key("--no-scopes")
    await in_force(gateway, other)
    for presented, path, expected in ((None, "/live", 401), ("sg_nobody", "/live", 401), (other, "/live", 403), (key, "/plain", 426)):
        try:
            await gateway.live(presented, path)
            raise AssertionError(f"{path} opened")
        except InvalidStatus as answer:
            assert answer.response.status_code == expected, f"{path}: {answer.response.status_code}, not {expected}"
    told("without the scope, or on a route without `upgrade`, there is no tunnel")


async def revoked(gateway, echo, other):
    name, key = gateway.key("--scopes", "live:read")
    await in_force(gateway, key)
    async with gateway.live(key) as live, gateway.live(other) as bystander:
        await live.send("hello")
        assert await live.recv() == "hello"
        await asyncio.to_thread(gateway.command, "keys", "revoke", name)
        begun = time.monotonic()
        try:
            await asyncio.wait_for(live.recv(), PATIENCE)
            raise AssertionError("it stayed open")
        except ConnectionClosed as closed:
            took = time.monotonic() - begun
            assert (closed.rcvd.code, closed.rcvd.reason) == (1008, "invalid_key"), closed
        await bystander.send("still here")
        assert await bystander.recv() == "still here"
    told(f"a revoked key ended its WebSocket with 1008 after {took:.2f} s, and no other")


async def main(binary):
    echo = Echo()
    with tempfile.TemporaryDirectory() as folder:
        async with serve(echo, "127.0.0.1", 0, max_size=None, select_subprotocol=first) as server:
            gateway = Gateway(binary, folder, "127.0.0.1:%d" % server.sockets[0].getsockname()[1])
            with Process(binary, ["serve"], folder, gateway.environment) as process:
                ready = lambda: status(gateway.admin, "GET", "/readyz", {}) == 200
                await asyncio.to_thread(process.until, "the gateway to be ready", ready)
                _, key = gateway.key("--scopes", "live:read")
                await in_force(gateway, key)
                await messages(gateway, echo, key)
                await many(gateway, key)
                await closing(gateway, echo, key)
                await refused(gateway, key)
                await revoked(gateway, echo, key)
                assert key not in process.said, "the key is in the log"


if __name__ == "__main__":
    asyncio.run(main(str(Path(sys.argv[1]).resolve())))
