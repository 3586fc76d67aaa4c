"""Callers that are slow on purpose, and a crowd of idle ones: whoever behaves is served all the same.

    slow.py SCOPEGATE       the binary; slowhttptest is on the path, or its part is skipped

slowhttptest opens 1,000 connections of each of its four kinds: heads, bodies, overlapping ranges, answers that are read by the
byte. After that come 2,000 idle connections and 300 slow ones at once. Exit 0 when a client beside them got each of its answers,
nobody was found without service, and the memory of the gateway came back.
"""

import asyncio
import csv
import http.client
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from run import PATIENCE, Process, figure, free_address, status

CONNECTIONS = 1000
IDLE, SLOW = 2000, 300
# How long a well-behaved client may wait for one answer, in seconds, on a machine with neighbours.
WAIT = 10
LARGE = 128 * 1024
# What slowhttptest is told for each kind: how it is slow, and for how many seconds it goes on.
KINDS = {
    "slow heads": ("-H", "-i", "1", "-x", "10", "-l", "60"),
    "slow bodies": ("-B", "-i", "2", "-x", "10", "-l", "10"),
    "ranges": ("-R", "-l", "10"),
    "slow reading": ("-X", "-w", "512", "-y", "1024", "-n", "3", "-z", "32", "-k", "2", "-l", "10"),
}


class Upstream:
    """Answers everything with two bytes, or with many where `large` is asked for. It takes what connections there are."""

    def __init__(self):
        self.address = free_address()
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True).start()
        assert ready.wait(PATIENCE), "the upstream listens"

    async def serve(self, ready):
        host, port = self.address.split(":")
        server = await asyncio.start_server(self.answer, host, int(port), backlog=4096)
        ready.set()
        await server.serve_forever()

    @staticmethod
    async def answer(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
                await reader.readexactly(int(length[1]) if length else 0)
                left = LARGE if b"large" in head.split()[1] else 2
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
                while left and not head.startswith(b"HEAD"):
                    writer.write(bytes(min(left, 16 * 1024)))
                    left -= min(left, 16 * 1024)
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextmanager
def gateway(binary, upstream, limits):
    """A gateway with one worker in front of `upstream`: its address, its admin address, its process."""
    with tempfile.TemporaryDirectory() as folder:
        listen, admin = free_address(), free_address()
        Path(folder, "scopegate.yaml").write_text(
            f'listen: {listen}\nadmin: {{ listen: "{admin}" }}\nupstream: {{ url: "http://{upstream.address}" }}\n'
            f"keys: {{ store: sqlite:keys.db }}\nlog: {{ access: false }}\nworkers: 1\nlimits: {{ {limits} }}\n"
            "policy: { version: 1, routes: { 'GET|POST /open/{*rest}': { auth: anyone } } }\n")
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder}
        with Process(binary, ["serve"], folder, environment) as process:
            process.until("the gateway to be ready", lambda: status(admin, "GET", "/readyz", {}) == 200)
            yield listen, admin, process


class WellBehaved:
    """A client that asks again and again on one connection until the end of a `with`, and notes how long each answer took."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=WAIT)
        self.fault, self.times, self.ended = None, [], threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        try:
            while not self.ended.wait(0.01):
                begun = time.monotonic()
                self.connection.request("GET", "/open/a")
                answer = self.connection.getresponse()
                assert (answer.status, answer.read()) == (200, bytes(2)), answer.status
                self.times.append(time.monotonic() - begun)
        except Exception as fault:  # It is told where the `with` ends.
            self.fault = fault

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *fault):
        self.ended.set()
        self.thread.join()
        self.connection.close()
        assert self.fault is None, f"the client beside them was not answered within {WAIT} s: {self.fault!r}"
        assert len(self.times) > 20, f"the client beside them got {len(self.times)} answers"


def downstream(admin):
    return figure(admin, "scopegate_connections", 'side="downstream"')


def attack(kind, arguments, folder, listen, admin):
    command = ["slowhttptest", *arguments, "-c", str(CONNECTIONS), "-r", "400", "-p", "5", "-g", "-o", "found", "-v", "0"]
    with WellBehaved(listen) as client:
        child = subprocess.Popen(
            [*command, "-u", f"http://{listen}/open/large"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        most = 0
        while child.poll() is None:
            most = max(most, downstream(admin))
            time.sleep(0.2)
    assert child.returncode == 0, f"slowhttptest ended with {child.returncode}"
    seconds = list(csv.DictReader(Path(folder, "found.csv").open()))
    available = [row for row in seconds if int(row["Service Available"]) > 0]
    assert seconds and len(available) == len(seconds), f"{kind}: no service in some of these seconds: {seconds}"
    # Ranges are answered at once, heads are cut before the end; for the others they are all there at the same time.
    assert kind == "ranges" or most > 0.9 * CONNECTIONS, f"{kind}: there were {most} connections at most"
    longest = max(client.times)
    print(f"ok    {kind}: {CONNECTIONS} connections, {most:.0f} at once, service in each of {len(seconds)} s, "
          f"{len(client.times)} answers beside them, none later than {longest * 1000:.0f} ms", flush=True)
    return len(seconds)


def attacks(binary, upstream):
    if not shutil.which("slowhttptest"):
        print("SKIPPED slowhttptest: it is not installed (on Debian: apt-get install slowhttptest)", flush=True)
        return
    with gateway(binary, upstream, "header_timeout: 10s") as (listen, admin, process), tempfile.TemporaryDirectory() as folder:
        for kind, arguments in KINDS.items():
            lasted = attack(kind, arguments, folder, listen, admin)
            # Each sent a line every second: what ended before its time is up has no connection left.
            assert kind != "slow heads" or lasted < 50, "connections outlived the time for a head"
            process.until("them to be gone", lambda: downstream(admin) == 0)


def idle(address):
    """A connection that has had an answer, and rests."""
    stream = socket.create_connection(address, timeout=PATIENCE)
    stream.sendall(b"GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n\0\0"):
        answer += stream.recv(4096)
    return stream


def trickle(streams, ended):
    """Sends a byte of a head on each in turn."""
    for byte in b"GET /open/a HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"x" * 1000:
        for stream in streams:
            stream.send(bytes([byte]))
        if ended.wait(0.3):
            return


def usual(listen):
    """The median time to an answer, in seconds: the best of three measurements, for neighbours come and go."""
    medians = []
    for _ in range(3):
        with WellBehaved(listen) as client:
            time.sleep(1)
        medians.append(statistics.median(client.times))
    return min(medians)


def crowd(binary, upstream):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * (IDLE + SLOW):
        print("SKIPPED crowd: the limit on open files (ulimit -Hn) is too low for it", flush=True)
        return
    with gateway(binary, upstream, "header_timeout: 10m, idle: 10m") as (listen, admin, process):
        host, port = listen.split(":")
        address = (host, int(port))
        resident = lambda: figure(admin, "process_resident_memory_bytes") / (1 << 20)
        alone = usual(listen)
        before, ended = resident(), threading.Event()
        streams = [idle(address) for _ in range(IDLE)]
        slow = [socket.create_connection(address, timeout=PATIENCE) for _ in range(SLOW)]
        trickler = threading.Thread(target=trickle, args=(slow, ended))
        trickler.start()
        process.until("all of them", lambda: downstream(admin) >= IDLE + SLOW)
        beside, during = usual(listen), resident()
        assert downstream(admin) >= IDLE + SLOW, "some were cut"
        ended.set()
        trickler.join()
        for stream in streams + slow:
            stream.close()
        process.until("them to be gone", lambda: downstream(admin) == 0)
        # What it cost is given back within a second or two; half of it leaves room for what is only kept.
        assert during > before + 4, f"a crowd that costs nothing: {before} MiB before, {during} with it"
        process.until("its memory to come back", lambda: resident() < (before + during) / 2)
        assert beside < 4 * alone + 0.02, f"{beside} s for an answer beside a crowd, {alone} s without"
        print(f"ok    a crowd of {IDLE} idle and {SLOW} slow connections: an answer in {beside * 1000:.1f} ms beside it and "
              f"{alone * 1000:.1f} ms without, {before:.0f} MiB before, {during:.0f} with it, {resident():.0f} after", flush=True)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scopegate, behind = str(Path(sys.argv[1]).resolve()), Upstream()
    attacks(scopegate, behind)
    crowd(scopegate, behind)
