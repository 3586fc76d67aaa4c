"""The servers behind the gateway of http2.py: one of gRPC, and one of HTTP/1.1."""

import http.server
import json
import threading
import time

import grpc


class Service(grpc.GenericRpcHandler):
    """Methods that take and give plain bytes, and keep what was seen of each call."""

    def __init__(self):
        self.cancelled = threading.Semaphore(0)
        self.metadata = []

    def service(self, call):
        name = call.method.rsplit("/", 1)[1]
        handler = getattr(self, name.lower(), None)
        if handler is None:
            return None
        self.metadata.append(dict(call.invocation_metadata))
        kind = {"Collect": grpc.stream_unary_rpc_method_handler, "Count": grpc.unary_stream_rpc_method_handler,
                "Chat": grpc.stream_stream_rpc_method_handler, "Large": grpc.unary_stream_rpc_method_handler}
        return kind.get(name, grpc.unary_unary_rpc_method_handler)(handler)

    def unary(self, request, context):
        context.send_initial_metadata((("x-initial", "1"),))
        context.set_trailing_metadata((("x-trailing", "2"),))
        return request.upper()

    def collect(self, requests, context):
        return b",".join(requests)

    def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def chat(self, requests, context):
        context.add_callback(self.cancelled.release)
        for request in requests:
            yield request[::-1]

    def sleep(self, request, context):
        context.add_callback(self.cancelled.release)
        time.sleep(float(request))
        return b""

    def abort(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 50% \u00e9")

    def large(self, request, context):
        for _ in range(int(request)):
            yield bytes(64 * 1024)


class Plain(http.server.BaseHTTPRequestHandler):
    """A server of HTTP/1.1 that says what it got."""

    protocol_version = "HTTP/1.1"
    seen = []

    def do_GET(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline() or "0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            length = len(body) if self.rfile.readline() else -1
        if len(body) != length:
            # It was broken off, so that it is no request.
            self.close_connection = True
            return
        Plain.seen.append((self.requestline, self.headers.items(), body))
        answer = json.dumps({"line": self.requestline, "length": len(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_POST = do_HEAD = do_GET

    def log_message(self, *arguments):
        pass
