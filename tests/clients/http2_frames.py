"""Frames of HTTP/2 made by hand, as no library would send them."""

import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamReset
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame

from run import PATIENCE


class Frames:
    """A connection whose frames are made by hand."""

    def __init__(self, address):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.h2 = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False,
                                               validate_inbound_headers=False))
        self.h2.initiate_connection()
        self.address = address
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def fields(self, more=(), **pseudo):
        known = {"method": "GET", "scheme": "http", "authority": self.address, "path": "/open/a"} | pseudo
        return [(f":{name}", value) for name, value in known.items() if value is not None] + list(more)

    def block(self, fields):
        return self.h2.encoder.encode(fields)

    def send(self, frame):
        self.socket.sendall(frame.serialize())

    def events(self, last):
        """All events until one for which `last` is true, or the end of the connection."""
        seen = []
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return seen
            if not data:
                return seen
            for event in self.h2.receive_data(data):
                seen.append(event)
                if isinstance(event, DataReceived):
                    self.h2.acknowledge_received_data(len(event.data), event.stream_id)
                if last(event):
                    return seen
            self.flush()

    def ending(self, answers=True):
        """What answers frames that `h2` knows nothing of: a status, the reason of a GOAWAY, or the end of the connection."""
        held = b""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return "closed"
            if not data:
                return "closed"
            held += data
            while len(held) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(held[:9]))
                if len(held) < 9 + length:
                    break
                frame.parse_body(memoryview(held[9:9 + length]))
                held = held[9 + length:]
                if isinstance(frame, GoAwayFrame) and frame.error_code:
                    return ErrorCodes(frame.error_code)
                if answers and isinstance(frame, HeadersFrame):
                    return int(dict(self.h2.decoder.decode(frame.data))[":status"])

    def outcome(self, fields, data=None, end=True):
        """How the gateway ends a stream: a status, or the reason of a reset or of a GOAWAY."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields, end_stream=data is None and end)
        if data is not None:
            self.h2.send_data(stream, data, end_stream=end)
        self.flush()
        over = (ResponseReceived, StreamReset, ConnectionTerminated)
        for event in self.events(lambda event: isinstance(event, over)):
            if isinstance(event, ResponseReceived):
                return int(dict(event.headers)[b":status"])
            if isinstance(event, (StreamReset, ConnectionTerminated)):
                return event.error_code
        return "closed"
