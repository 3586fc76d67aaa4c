"""Processes, ports and processors. What is started here is stopped here, whatever happens."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

STATUS = "GET {target} HTTP/1.1\r\nHost: api.example.test\r\nAuthorization: Bearer {key}\r\n\r\n"


def say(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


class Fault(Exception):
    """What keeps one contestant, or everything, from being measured."""


def free_ports(names: tuple) -> dict:
    sockets = {name: socket.socket() for name in names}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


def ask(port: int, target: str, key: str, certificate: Path | None = None) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own, over TLS where there is a certificate to believe."""
    with socket.create_connection(("127.0.0.1", port), 5) as stream:
        if not certificate:
            return ask_on(stream, target, key)
        with ssl.create_default_context(cafile=str(certificate)).wrap_socket(stream, server_hostname="localhost") as secured:
            return ask_on(secured, target, key)


def ask_on(stream: socket.socket, target: str, key: str) -> tuple[int, bytes]:
    stream.sendall(STATUS.format(target=target, key=key).encode())
    read, length = b"", None
    while length is None or len(read) < length:
        part = stream.recv(1 << 16)
        if not part:
            raise OSError("closed")
        read += part
        if length is None and b"\r\n\r\n" in read:
            head = read.split(b"\r\n\r\n")[0]
            sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            length = len(head) + 4 + int(sizes[0]) if sizes else len(read)
    return int(read.split(b" ", 2)[1]), read.split(b"\r\n\r\n", 1)[1]


def siblings(processor: int) -> set[int] | None:
    """The processors that are one core with this one, itself among them; nothing where the system does not tell."""
    try:
        told = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").read_text().strip()
        spans = [part.split("-") for part in told.split(",")]
        return {number for span in spans for number in range(int(span[0]), int(span[-1]) + 1)}
    except (OSError, ValueError):
        return None


def tree(process: int) -> list[int]:
    found = [process]
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            for child in Path(f"/proc/{process}/task/{thread}/children").read_text().split():
                found += tree(int(child))
    except OSError:
        pass  # It has ended.
    return found


def memory(processes: list[int]) -> int:
    """KiB that belong to these processes; what they share with others is divided by how many they are."""
    sizes = 0
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                sizes += int(line.split()[1])
    return sizes


class Room:
    """One processor for proxies, and one for callers and the upstream."""

    def __init__(self, real_time: bool):
        processors = sorted(os.sched_getaffinity(0))
        if len(processors) < 2:
            raise Fault("two processors are needed: one for the proxy, one for callers and the upstream")
        # Two threads of one core take from each other what they are measured by.
        self.proxy, core = processors[0], siblings(processors[0])
        apart = [each for each in processors if each not in (core or {self.proxy})]
        self.load = (apart or processors)[-1]
        self.cores = (
            "the system does not tell whether they are two cores" if core is None
            else "they are two cores, by what the system tells" if apart else "**they are two threads of one core**: there is no other")
        # This program does not stand in the way of what it measures.
        os.sched_setaffinity(0, set(apart) or set(processors) - {self.proxy})
        self.real_time = real_time
        self.running: list[subprocess.Popen] = []

    def settler(self, processor: int):
        """What a process does before it becomes the program that it runs."""

        def settle() -> None:
            os.sched_setaffinity(0, {processor})
            if self.real_time:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

        return settle

    def start(self, command: list[str], processor: int, log: Path | None, environment: dict | None = None) -> subprocess.Popen:
        out = open(log, "wb") if log else subprocess.DEVNULL
        try:
            # A group of its own: Ctrl-C comes to this program alone, which then stops everything in turn.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, preexec_fn=self.settler(processor),
                start_new_session=True, cwd=log.parent if log else None, env={**os.environ, **(environment or {})})
        finally:
            if log:
                out.close()
        self.running.append(process)
        return process

    def run(self, command: list[str], patience: float) -> str:
        """What a program prints that works on the processor of the callers and ends by itself."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=self.settler(self.load), start_new_session=True)
        self.running.append(process)
        try:
            out, said = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise Fault("the callers did not come to an end") from None
        finally:
            self.stop(process)
        if process.returncode:
            raise Fault(said.strip()[-300:])
        return out

    def stop(self, process: subprocess.Popen) -> None:
        for sign, patience in ((signal.SIGTERM, 2), (signal.SIGKILL, 10)):
            # Its number may be another's once it has been waited for.
            if process.returncode is not None:
                break
            os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        if process in self.running:
            self.running.remove(process)

    def stop_all(self) -> None:
        for process in list(self.running):
            self.stop(process)

    def wait_until_served(self, process: subprocess.Popen, port: int, first: tuple[str, str], patience: float) -> None:
        """Waits until the first request is answered with 200."""
        begun, seen = time.monotonic(), "nothing listens"
        while time.monotonic() - begun < patience:
            try:
                status, _ = ask(port, *first)
                if status == 200:
                    return
                seen = f"status {status}"
            except OSError as error:
                seen = str(error)
            if process.poll() is not None:
                raise Fault(f"it ended with {process.returncode}")
            time.sleep(0.0005)
        raise Fault(f"not ready after {patience} s: {seen}")
