"""HTTP/2 through a real gateway, by clients and servers that nobody here wrote.

    http2.py SCOPEGATE      the binary; the Python that runs this has grpcio, httpx[http2] and h2 installed

    grpcio, httpx, curl, nghttp, h2load, frames made by hand → gateway → a gRPC server (HTTP/2), or a server of HTTP/1.1

The gateway listens in cleartext, where callers know that it speaks HTTP/2, and over TLS, where they agree on it (ALPN).
Each check prints a line. Exit 0 when all of them hold.
"""

import http.server
import os
import ssl
import sys
import tempfile
import threading
import time
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import grpc
import httpx
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame

from http2_frames import Frames
from http2_servers import Plain, Service
from http2_tools import curl, h2load, nghttp
from run import PATIENCE, Process, create_key, figure, free_address
from tls import certificate

POLICY = """version: 1
routes:
  POST /echo.Echo/{method}: echo:call
  POST /echo.Admin/{method}: echo:admin
  GET /open/{*rest}: { auth: anyone }
  POST /open/{*rest}: { auth: anyone }
  GET /whoami: { auth: key }
"""
METHODS = ("Unary", "Collect", "Count", "Chat", "Sleep", "Abort", "Large")


@contextmanager
def gateway(binary, upstream, protocol, more=""):
    """A gateway in front of `upstream`; gives its addresses, the certificate that it shows over TLS, and keys."""
    with tempfile.TemporaryDirectory() as folder:
        listen, secure, admin = free_address(), free_address(), free_address()
        certificate(folder)
        config = Path(folder, "scopegate.yaml")
        config.write_text(
            f'listen: [{{ address: "{listen}", tls: false }}, "{secure}"]\ntls: {{ cert: cert.pem, key: key.pem }}\nupstream: {{ url: "http://{upstream}", protocol: {protocol} }}\npolicy: policy.yaml\n'
            f'keys: {{ store: "sqlite:keys.db" }}\nadmin: {{ listen: "{admin}" }}\nworkers: 1\n{more}')
        Path(folder, "policy.yaml").write_text(POLICY)
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder}

        def key(name, *grant):
            return create_key(binary, folder, environment, name, *grant, config=config)

        keys = {"CALL": key("call", "--scopes", "echo:call"), "NONE": key("none", "--no-scopes")}
        with Process(binary, ["serve", "-c", str(config)], folder, environment) as process:
            process.until("the gateway to be ready", lambda: figure(admin, "scopegate_store_up") is not None)
            yield SimpleNamespace(listen=listen, secure=secure, admin=admin, keys=keys, certificate=Path(folder, "cert.pem"))
            for name, value in keys.items():
                assert value not in process.said, f"the key {name} is in the log"


def until(what, found):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited for {what}")


def code_of(call):
    """The status that a call fails with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError("the call did not fail")


def calls_of_grpc(carrier, channel, keys, service):
    service.cancelled = threading.Semaphore(0)
    path = "/echo.Echo/"
    with_key = {"metadata": (("authorization", f"Bearer {keys['CALL']}"), ("x-own", "kept")), "timeout": PATIENCE}

    unary = channel.unary_unary(path + "Unary")
    answer, call = unary.with_call(b"hello", **with_key)
    assert answer == b"HELLO"
    assert dict(call.initial_metadata())["x-initial"] == "1" and dict(call.trailing_metadata())["x-trailing"] == "2"
    seen = service.metadata[-1]
    assert seen["x-own"] == "kept" and "authorization" not in seen, seen
    assert channel.stream_unary(path + "Collect")(iter([b"a", b"b", b"c"]), **with_key) == b"a,b,c"
    assert list(channel.unary_stream(path + "Count")(b"1000", **with_key)) == [b"%d" % n for n in range(1000)]
    assert sum(map(len, channel.unary_stream(path + "Large")(b"200", **with_key))) == 200 * 64 * 1024
    print(f"ok    grpcio over {carrier}: unary, client streaming, server streaming, metadata both ways", flush=True)

    turn = threading.Semaphore(0)

    def requests():
        for number in range(20):
            yield b"message %d" % number
            assert turn.acquire(timeout=PATIENCE), "the answer to each message comes before the next one"

    answers = []
    for message in channel.stream_stream(path + "Chat")(requests(), **with_key):
        answers.append(message)
        turn.release()
    assert len(answers) == 20 and answers[3] == b"3 egassem"
    print(f"ok    grpcio over {carrier}: both ways at once, message by message", flush=True)

    assert service.cancelled.acquire(timeout=PATIENCE)
    assert code_of(lambda: channel.unary_unary(path + "Abort")(b"", **with_key)) == grpc.StatusCode.FAILED_PRECONDITION
    begun = time.monotonic()
    slow = channel.unary_unary(path + "Sleep")
    assert code_of(lambda: slow(b"2", **with_key | {"timeout": 0.3})) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 2
    assert service.cancelled.acquire(timeout=PATIENCE), "the server learns of the deadline"
    held = threading.Event()
    call = channel.stream_stream(path + "Chat")(iter(lambda: held.wait(PATIENCE) and None or b"x", b""), **with_key)
    call.cancel()
    held.set()
    assert code_of(lambda: list(call)) == grpc.StatusCode.CANCELLED
    print(f"ok    grpcio over {carrier}: statuses of the server, deadlines, cancellation", flush=True)

    def status(key, method="/echo.Echo/Unary"):
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        return code_of(lambda: channel.unary_unary(method)(b"x", metadata=metadata, timeout=PATIENCE))

    assert status(None) == grpc.StatusCode.UNAUTHENTICATED
    assert status("sg_nonsense") == grpc.StatusCode.UNAUTHENTICATED
    assert status(keys["NONE"]) == grpc.StatusCode.PERMISSION_DENIED
    assert status(keys["CALL"], "/echo.Admin/Unary") == grpc.StatusCode.PERMISSION_DENIED
    try:
        channel.stream_stream(path + "Chat")(iter([b"a"] * 1000), timeout=PATIENCE).next()
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED and "key" in error.details(), error
    print(f"ok    grpcio over {carrier}: denials are UNAUTHENTICATED and PERMISSION_DENIED, in the middle of a stream, too", flush=True)

    with futures.ThreadPoolExecutor(40) as many:
        results = list(many.map(lambda n: unary(b"n%d" % n, **with_key), range(400)))
    assert results == [b"N%d" % n for n in range(400)]
    print(f"ok    grpcio over {carrier}: 400 calls, 40 at once, each with its own answer", flush=True)
    channel.close()


def requests_of_httpx(base, keys, roots):
    begun = len(Plain.seen)
    scheme = base.partition(":")[0]
    with httpx.Client(http1=False, http2=True, base_url=base, verify=roots, timeout=PATIENCE) as client:
        answer = client.get("/open/a%20b?x=%41&x=2")
        assert answer.http_version == "HTTP/2" and answer.json()["line"] == "GET /open/a%20b?x=%41&x=2 HTTP/1.1"
        assert client.post("/open/a", content=bytes(300_000)).json()["length"] == 300_000
        assert client.post("/open/a", content=(bytes(1000) for _ in range(300))).json()["length"] == 300_000
        assert client.get("/whoami").json()["code"] == "missing_key"
        assert client.get("/whoami", headers={"Authorization": f"Bearer {keys['CALL']}"}).status_code == 200
        head = client.head("/open/a")
        assert head.status_code == 200 and head.content == b""
    line, fields, _ = Plain.seen[begun]
    names = [name.lower() for name, _ in fields]
    assert "via" in names and dict(fields)["via"].startswith("2.0") and names.count("host") == 1, fields
    assert dict(fields)["x-forwarded-proto"] == scheme, fields
    print(f"ok    httpx, {scheme}: bodies by length and in pieces, denials, HEAD", flush=True)


def versions_of_httpx(base, roots):
    """What is agreed on over TLS is the best that the caller names."""
    for http1, http2, version in ((True, True, "HTTP/2"), (True, False, "HTTP/1.1")):
        with httpx.Client(http1=http1, http2=http2, base_url=base, verify=roots, timeout=PATIENCE) as client:
            answer = client.get("/open/a")
            assert (answer.status_code, answer.http_version) == (200, version), answer
    print("ok    httpx: HTTP/2 over TLS where it names both, HTTP/1.1 where it names no other", flush=True)


def malformed_requests(address, key):
    refused = {400, ErrorCodes.PROTOCOL_ERROR}
    begun = len(Plain.seen)
    for name, make in {
        "no method": lambda f: f.outcome(f.fields(method=None)),
        "no path": lambda f: f.outcome(f.fields(path=None)),
        "an empty path": lambda f: f.outcome(f.fields(path="")),
        "a path without a slash": lambda f: f.outcome(f.fields(path="open/a")),
        "a key in a path that is none": lambda f: f.outcome(f.fields(path=f"/open/a?key={key}<")),
        "no scheme": lambda f: f.outcome(f.fields(scheme=None)),
        "an unknown pseudo field": lambda f: f.outcome([(":open", "a"), *f.fields()]),
        "a pseudo field behind a field": lambda f: f.outcome([("a", "b"), *f.fields()]),
        "two paths": lambda f: f.outcome([(":path", "/open/b"), *f.fields()]),
        "no authority and no Host": lambda f: f.outcome(f.fields(authority=None)),
        "a Host that differs": lambda f: f.outcome(f.fields([("host", "other.test")])),
        "two Hosts": lambda f: f.outcome(f.fields([("host", f.address), ("host", f.address)])),
        "user information": lambda f: f.outcome(f.fields(authority=f"user@{f.address}")),
        "Connection": lambda f: f.outcome(f.fields([("connection", "x-a")])),
        "Transfer-Encoding": lambda f: f.outcome(f.fields([("transfer-encoding", "chunked")])),
        "Keep-Alive": lambda f: f.outcome(f.fields([("keep-alive", "1")])),
        "Upgrade": lambda f: f.outcome(f.fields([("upgrade", "websocket")])),
        "Proxy-Connection": lambda f: f.outcome(f.fields([("proxy-connection", "close")])),
        "TE: gzip": lambda f: f.outcome(f.fields([("te", "gzip")])),
        "upper case": lambda f: f.outcome(f.fields([("X-A", "b")])),
        "CR LF in a value": lambda f: f.outcome(f.fields([("x-a", "b\r\nc: d")])),
        "NUL in a value": lambda f: f.outcome(f.fields([("x-a", "b\0")])),
        "a colon in a name": lambda f: f.outcome(f.fields([("x:a", "b")])),
        "a space in a path": lambda f: f.outcome(f.fields(path="/open/a HTTP/1.1\r\nx: y")),
        "two lengths": lambda f: f.outcome(f.fields([("content-length", "1"), ("content-length", "2")], method="POST"), b"a"),
        "a length that is no number": lambda f: f.outcome(f.fields([("content-length", "+1")], method="POST"), b"a"),
        "a length without a body": lambda f: f.outcome(f.fields([("content-length", "5")], method="POST")),
        "more data than the length": lambda f: f.outcome(f.fields([("content-length", "1")], method="POST"), b"abc"),
        "less data than the length": lambda f: f.outcome(f.fields([("content-length", "5")], method="POST"), b"abc"),
    }.items():
        outcome = make(Frames(address))
        assert outcome in refused, f"{name}: {outcome}"
    # What begins to be wrong in its data was forwarded so far, and was never completed.
    complete = [line for line, _, _ in Plain.seen[begun:]]
    assert not complete, complete
    assert Frames(address).outcome(Frames(address).fields(method="TRACE")) == 401
    assert Frames(address).outcome(Frames(address).fields()) == 200
    print("ok    h2: 29 malformed requests are refused, and none is completed upstream", flush=True)


def cut(reason, outcome, admin):
    """The GOAWAY may be lost to whoever is still sending; the count is not."""
    assert outcome in (ErrorCodes.ENHANCE_YOUR_CALM, "closed"), outcome
    until("the cut to be counted", lambda: figure(admin, "scopegate_cut_connections_total", f'reason="{reason}"') == 1)


def floods(address, admin):
    frames = Frames(address)
    try:
        for number in range(2000):
            stream = 2 * number + 1
            frames.send(HeadersFrame(stream, frames.block(frames.fields()), flags=["END_HEADERS", "END_STREAM"]))
            frames.send(RstStreamFrame(stream, error_code=8))
    except ConnectionError:
        pass
    cut("resets", frames.ending(answers=False), admin)
    print("ok    rapid reset: the connection is closed", flush=True)

    frames = Frames(address)
    try:
        for number in range(2000):
            stream = 2 * number + 1
            frames.send(HeadersFrame(stream, frames.block(frames.fields(method="POST")), flags=["END_HEADERS"]))
            frames.send(WindowUpdateFrame(stream, window_increment=2**31 - 1))
    except ConnectionError:
        pass
    cut("flood", frames.ending(answers=False), admin)
    print("ok    resets that the caller makes the gateway send: the connection is closed", flush=True)

    # One field of the table, given many times at a byte each.
    again = bytes([0x80 | 62])
    for count, ends in ((200, {431}), (15_000, {ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.PROTOCOL_ERROR, 431, "closed"})):
        frames = Frames(address)
        block = frames.block(frames.fields([("x-bomb", "")])) + again * count
        frames.send(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
        outcome = frames.ending()
        assert outcome in ends, (count, outcome)
    print("ok    header bombs: 431, or the end of the connection", flush=True)

    frames = Frames(address)
    frames.send(HeadersFrame(1, frames.block(frames.fields())))
    try:
        for number in range(20_000):
            frames.send(ContinuationFrame(1, frames.block([("x-%d" % number, "y" * 100)])))
    except ConnectionError:
        pass
    outcome = frames.ending()
    assert outcome in (ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.PROTOCOL_ERROR, ErrorCodes.COMPRESSION_ERROR, "closed"), outcome
    print("ok    CONTINUATION flood: the connection is closed", flush=True)

    until("the connections to be gone", lambda: figure(admin, "scopegate_connections", 'side="downstream"') == 0)
    assert Frames(address).outcome(Frames(address).fields()) == 200


def channels(at):
    """A channel of grpcio over cleartext, and one over TLS, each with what it is called."""
    options = [("grpc.enable_retries", 0)]
    roots = grpc.ssl_channel_credentials(at.certificate.read_bytes())
    yield "cleartext", grpc.insecure_channel(at.listen, options=options)
    yield "TLS", grpc.secure_channel(at.secure, roots, options=options)


def main(binary):
    service = Service()
    server = grpc.server(futures.ThreadPoolExecutor(64))
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with gateway(binary, f"127.0.0.1:{port}", "h2c") as at:
        for carrier, channel in channels(at):
            calls_of_grpc(carrier, channel, at.keys, service)
            assert figure(at.admin, "scopegate_connections", 'side="upstream"') == 1, "one connection carried all of it"
            until("the channel to be gone", lambda: figure(at.admin, "scopegate_connections", 'side="downstream"') == 0)
    server.stop(None)
    # Its queue of five would turn connections away. That callers break off is what it is there for.
    http.server.ThreadingHTTPServer.request_queue_size = 256
    http.server.ThreadingHTTPServer.handle_error = lambda *fault: None
    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    with gateway(binary, "127.0.0.1:%d" % plain.server_port, "h1", "log: { level: trace }\n") as at:
        roots = ssl.create_default_context(cafile=at.certificate)
        for base in (f"http://{at.listen}", f"https://{at.secure}"):
            requests_of_httpx(base, at.keys, roots)
        versions_of_httpx(f"https://{at.secure}", roots)
        malformed_requests(at.listen, at.keys["CALL"])
        floods(at.listen, at.admin)
        curl(at.listen, at.secure, at.certificate)
        nghttp(at.listen, at.secure)
        h2load(at.listen, at.secure)
        until("all connections to be gone", lambda: figure(at.admin, "scopegate_connections", 'side="downstream"') == 0)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
