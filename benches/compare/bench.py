"""Who is up, who is under load, and what comes of it."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import table
from contestant import H1, H1_TLS, H2_TLS, H2C, Site
from plan import Plan
from room import Fault, Room, ask, ask_on, free_ports, memory, say, tree

# Requests, protocol, connections, streams on each, what a contestant that checks must answer, and whether it takes one that checks.
SCENARIOS = {
    "get": ("get", H1, 64, 1, "200", False),
    "401": ("unknown", H1, 64, 1, "401", True),
    "403": ("forbidden", H1, 64, 1, "403", True),
    "post": ("post", H1, 16, 1, "200", False),
    "large": ("large", H1, 8, 1, "200", False),
    "h1-tls": ("get", H1_TLS, 64, 1, "200", False),
    "h2-tls": ("get", H2_TLS, 8, 16, "200", False),
    "h2c": ("get", H2C, 8, 16, "200", False),
}
# Connections that wait for their next request.
IDLE = 1000


class Bench:
    def __init__(self, folder: Path, options, traffic: str, room: Room):
        self.folder, self.options, self.traffic, self.room = folder, options, traffic, room
        self.plan = Plan(folder, options.keys, 512 if options.quick else 4096)
        self.samples = table.Samples()
        self.out: dict[str, str] = {}
        self.skipped: set = set()
        subprocess.run([traffic, "certificate", str(folder)], check=True)
        self.upstreams = {}
        for manner in ("strict", "lax"):
            port = free_ports((manner,))[manner]
            self.upstreams[manner] = (port, self.room.start([traffic, "upstream", str(port), manner], self.room.load, None))
        for port, process in self.upstreams.values():
            self.room.wait_until_served(process, port, ("/figures", ""), 10)

    def upstream(self, contestant) -> tuple[int, subprocess.Popen]:
        return self.upstreams["strict" if contestant.checks else "lax"]

    def begin(self, contestant, turn: int) -> tuple:
        """Starts it; its site, its process and how long it took to serve."""
        folder = self.folder / f"{contestant.name}-{turn}"
        folder.mkdir()
        # The workers of a server that is started as root are another user.
        folder.chmod(0o755)
        site = Site(folder, free_ports(("plain", "h2c", "tls")), self.upstream(contestant)[0], self.plan, self.folder)
        command = contestant.prepare(site)
        # Where the program has the processor of this one, this one goes on when the program rests.
        begun = time.monotonic()
        process = self.room.start(command, self.room.proxy, folder / "said", contestant.environment)
        try:
            self.room.wait_until_served(process, site.ports["plain"], self.plan.first(), contestant.patience)
            took = time.monotonic() - begun
        except Fault as fault:
            told = [path.read_text(errors="replace").strip()[-400:] for path in (folder / "said", folder / "errors") if path.is_file()]
            self.room.stop(process)
            raise Fault(f"{fault} {' '.join(told)}") from None
        return site, process, took

    def end(self, running: tuple) -> None:
        site, process, _ = running
        self.room.stop(process)
        shutil.rmtree(site.folder, ignore_errors=True)

    def load(self, contestant, running: tuple, scenario: str, spans: tuple[float, float]) -> dict:
        requests, protocol, callers, streams, _, _ = SCENARIOS[scenario]
        site, process, _ = running
        command = [
            self.traffic, "load", str(contestant.port(site, protocol)), str(self.plan.files[requests]), "--protocol", protocol,
            "--callers", str(callers), "--streams", str(streams), "--certificate", str(site.cert), "--warm", str(spans[0]),
            "--seconds", str(spans[1]), "--proxy", ",".join(map(str, tree(process.pid))), "--beside", str(self.upstream(contestant)[1].pid),
        ]

        try:
            counted = json.loads(self.room.run(command, sum(spans) + 60))
        except Fault as fault:
            raise Fault(f"{scenario}: {fault}") from None
        answers = sum(counted["statuses"].values())
        wanted = SCENARIOS[scenario][4]
        if not answers:
            raise Fault(f"{scenario}: no answers")
        if set(counted["statuses"]) != {wanted}:
            raise Fault(f"{scenario}: answers {counted['statuses']}, and all must be {wanted}")
        self.samples.agree(scenario, contestant.name, counted["agreed"])
        return {**counted, "answers": answers}

    def takes(self, contestant, scenario: str) -> bool:
        if SCENARIOS[scenario][5] and not contestant.checks:
            return False
        able = SCENARIOS[scenario][1] in contestant.PROTOCOLS
        if not able and (contestant.name, scenario) not in self.skipped:
            self.skipped.add((contestant.name, scenario))
            say(f"{contestant.name} is left out of {scenario}: it does not speak that")
        return able

    def leaks(self) -> int:
        _, body = ask(self.upstreams["strict"][0], "/figures", "")
        return json.loads(body)["leaks"]

    def compare_bodies(self, contestant, running: tuple) -> None:
        """Whether what comes through it is what the upstream says, byte for byte. Under load only the length is looked at."""
        site = running[0]
        for requests in ("get", "large"):
            target, key = self.plan.first(requests)
            _, told = ask(self.upstreams["lax"][0], target, "")
            for protocol in (H1, H1_TLS):
                if protocol not in contestant.PROTOCOLS:
                    continue
                answer = ask(contestant.port(site, protocol), target, key, site.cert if protocol == H1_TLS else None)
                if answer != (200, told):
                    raise Fault(f"{requests} by {protocol}: status {answer[0]} and {len(answer[1])} bytes that are not the upstream's {len(told)}")

    def check(self, contestant) -> None:
        """Whether it answers as it must, in every scenario, and keeps credentials from the upstream."""
        running = self.begin(contestant, -1)
        try:
            self.compare_bodies(contestant, running)
            before = self.leaks()
            for scenario in self.options.scenarios:
                if self.takes(contestant, scenario):
                    self.load(contestant, running, scenario, (0, 0.2))
            if leaked := self.leaks() - before:
                raise Fault(f"{leaked} credentials came to the upstream")
            if self.options.strace and shutil.which("strace"):
                self.samples.calls[contestant.name] = self.trace(contestant, running)
            if not self.options.quick:
                self.samples.idle[contestant.name] = self.measure_idle(contestant, running)
        finally:
            self.end(running)

    def trace(self, contestant, running: tuple) -> float:
        """System calls for each GET."""
        site, process, _ = running
        report = site.folder / "strace"
        attached = [part for each in tree(process.pid) for part in ("-p", str(each))]
        tracer = self.room.start(["strace", "-f", "-c", "-o", str(report), *attached], self.room.load, site.folder / "tracer")
        time.sleep(0.5)
        counted = self.load(contestant, running, "get", (0, 1))
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        self.room.stop(tracer)
        # Share of time, seconds, microseconds for each, calls, errors where there are any, name.
        rows = [line.split() for line in report.read_text().splitlines() if line[:1].isspace() or line[:1].isdigit()]
        calls = sum(int(row[3]) for row in rows if len(row) >= 5 and row[-1] != "total" and row[3].isdigit())
        # Connections are made within the second, too: two calls or three for each of 64.
        return calls / counted["answers"]

    def measure_idle(self, contestant, running: tuple) -> tuple[int, float]:
        """KiB of a process that has just started, and KiB that each of many connections adds that wait for their next request."""
        self.end(running)
        again = self.begin(contestant, -2)
        site, process, _ = again
        with contextlib.ExitStack() as stack:
            stack.callback(self.end, again)
            time.sleep(5)
            idle = memory(tree(process.pid))
            # The first ones make a proxy fetch what it keeps for all of them, and give back what loading left.
            sizes = []
            for count in (IDLE // 10, IDLE):
                for _ in range(count):
                    stream = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", site.ports["plain"]), 5)))
                    ask_on(stream, *self.plan.first())
                time.sleep(3)
                sizes.append(memory(tree(process.pid)))
            return idle, (sizes[1] - sizes[0]) / IDLE

    def turn(self, number: int, present: list) -> None:
        """One round: all are up, and one after the other is under load, scenario by scenario."""
        up = {}
        try:
            for contestant in present:
                with self.or_out(contestant):
                    up[contestant.name] = self.begin(contestant, number)
                    self.samples.start.setdefault(contestant.name, []).append(up[contestant.name][2])
            order = present if number % 2 == 0 else present[::-1]
            for scenario in self.options.scenarios:
                for contestant in order:
                    if contestant.name in self.out or contestant.name not in up or not self.takes(contestant, scenario):
                        continue
                    with self.or_out(contestant):
                        counted = self.load(contestant, up[contestant.name], scenario, (self.options.warm, self.options.seconds))
                        cost = counted["proxy_ns"] / counted["answers"] / 1000
                        self.samples.add(scenario, contestant.name, number, cost, counted["load_ns"] / counted["seconds"] / 1e9)
        finally:
            for running in up.values():
                self.end(running)

    @contextlib.contextmanager
    def or_out(self, contestant):
        try:
            yield
        except (Fault, OSError, subprocess.SubprocessError) as fault:
            self.out[contestant.name] = str(fault)
            self.samples.drop(contestant.name)
            say(f"{contestant.name} is OUT: {fault}")
