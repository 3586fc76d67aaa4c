"""Tables of what was measured, and the bars."""

import statistics
from typing import NamedTuple

TITLES = {
    "get": "GET", "401": "401", "403": "403", "post": "POST of 100 KiB", "large": "answer of 1 MiB",
    "h1-tls": "HTTP/1.1 over TLS", "h2-tls": "HTTP/2 over TLS", "h2c": "HTTP/2 in cleartext",
}


class Ratio(NamedTuple):
    """The median of paired ratios, the quartiles, and how many pairs there were."""

    middle: float
    low: float
    high: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f}–{self.high:.2f})"


def spread(values: list[float]) -> Ratio:
    low, high = values[0], values[0]
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(statistics.median(values), low, high, len(values))


class Samples:
    """CPU of a proxy for each answer in µs, by scenario, contestant and round."""

    def __init__(self):
        self.cost: dict = {}
        self.load: dict = {}
        self.start: dict = {}
        self.idle: dict = {}
        self.calls: dict = {}
        # What was agreed upon over TLS, by scenario and contestant.
        self.agreed: dict = {}

    def agree(self, scenario: str, name: str, agreed: list[str]) -> None:
        if agreed:
            self.agreed.setdefault(scenario, {}).setdefault(name, set()).update(agreed)

    def add(self, scenario: str, name: str, turn: int, cost: float, load: float) -> None:
        self.cost.setdefault(scenario, {}).setdefault(name, {})[turn] = cost
        self.load.setdefault(scenario, {}).setdefault(name, []).append(load)

    def drop(self, name: str) -> None:
        for by_name in (*self.cost.values(), *self.load.values(), *self.agreed.values(), self.start, self.idle, self.calls):
            by_name.pop(name, None)

    def ratio(self, scenario: str, name: str, base: str) -> Ratio | None:
        costs = self.cost.get(scenario, {})
        ours, theirs = costs.get(name, {}), costs.get(base, {})
        pairs = [ours[turn] / theirs[turn] for turn in ours if turn in theirs]
        return spread(pairs) if pairs else None


def lines(head: list[str], rows: list[list[str]], markdown: bool) -> list[str]:
    if markdown:
        rule = ["---", *("--:" for _ in head[1:])]
        return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return ["  ".join(cell.ljust(width) if not place else cell.rjust(width)
                      for place, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in (head, *rows)]


def scenario_table(samples: Samples, scenario: str, names: list[str], bases: list[str], markdown: bool) -> list[str]:
    costs = samples.cost.get(scenario, {})
    bases = [base for base in bases if base in costs]
    head = ["contestant", "CPU µs/request", *(f"against {base}" for base in bases), "callers' core busy"]
    rows = []
    for name in (name for name in names if name in costs):
        cost, busy = statistics.median(costs[name].values()), statistics.median(samples.load[scenario][name])
        ratios = ["1" if name == base else str(samples.ratio(scenario, name, base) or "–") for base in bases]
        rows.append([name, f"{cost:.1f}", *ratios, f"{busy:.0%}{' (!)' if busy > 0.85 else ''}"])
    return lines(head, rows, markdown)


def size_table(samples: Samples, names: list[str], markdown: bool) -> list[str]:
    head = ["contestant", "start ms (quartiles)", "idle MiB", "idle connection KiB", "system calls/request"]
    rows = []
    for name in names:
        if name not in samples.start:
            continue
        begun = spread([seconds * 1000 for seconds in samples.start[name]])
        idle = samples.idle.get(name)
        sizes = [f"{idle[0] / 1024:.1f}", f"{idle[1]:.1f}"] if idle else ["–", "–"]
        calls = samples.calls.get(name)
        rows.append([name, f"{begun.middle:.0f} ({begun.low:.0f}–{begun.high:.0f})", *sizes, f"{calls:.2f}" if calls else "–"])
    return lines(head, rows, markdown)


def agreement(samples: Samples, scenario: str) -> list[str]:
    """What was agreed upon over TLS, and a warning where it was not the same for all."""
    ways: dict = {}
    for name, agreed in samples.agreed.get(scenario, {}).items():
        ways.setdefault(" and ".join(sorted(agreed)), []).append(name)
    if len(ways) < 2:
        return [f"All agreed upon {way}." for way in ways]
    told = "; ".join(f"{way} with {', '.join(names)}" for way, names in ways.items())
    return [f"**They did not agree upon the same**, so these figures compare ciphers as well: {told}."]


# Scenario, whose cost, against whose, and the most that it may be.
BARS = [
    ("get", "scopegate", "nginx-auth", 0.60),
    ("get", "scopegate", "haproxy-auth", 0.45),
    ("get", "scopegate", "envoy-auth", 0.20),
    ("get", "scopegate", "nginx-plain", 0.90),
    ("get", "scopegate", "floor", 1.40),
    ("401", "scopegate", "nginx-auth", 0.75),
    ("403", "scopegate", "nginx-auth", 0.75),
    ("large", "scopegate", "nginx-plain", 0.70),
    ("post", "scopegate", "nginx-plain", 0.75),
    ("h1-tls", "scopegate", "nginx-plain", 1.0),
    ("h2-tls", "scopegate", "nginx-plain", 1.0),
    ("h2c", "scopegate", "nginx-plain", 1.0),
    ("get", "scopegate-log", "scopegate", 1.10),
]
START_MS, IDLE_MIB, CONNECTION_KIB, DECISION = 30, 10, 2, 1.2


# With fewer pairs a ratio says nothing.
FEWEST = 5


def verdict(value: float | None, most: float, pairs: int = FEWEST) -> str:
    """Of the value as it is told, with two places."""
    if value is None:
        return "unmeasured"
    if pairs < FEWEST:
        return "too few pairs"
    return "made" if round(value, 2) <= most else "**missed**"


def bars_table(samples: Samples, decision: Ratio | None, markdown: bool) -> list[str]:
    rows = []
    for scenario, name, base, most in BARS:
        ratio = samples.ratio(scenario, name, base)
        what = f"{TITLES[scenario]}: {name} / {base}"
        rows.append([what, f"≤ {most:.2f}", str(ratio or "–"), str(ratio.pairs if ratio else 0),
                     verdict(ratio and ratio.middle, most, ratio.pairs if ratio else 0)])
    rows.append(["decision at 10,000 routes / at 10", f"≤ {DECISION:.2f}", str(decision or "–"),
                 str(decision.pairs if decision else 0), verdict(decision and decision.middle, DECISION)])
    start = samples.start.get("scopegate")
    begun = spread([seconds * 1000 for seconds in start]) if start else None
    told = f"{begun.middle:.0f} ({begun.low:.0f}–{begun.high:.0f}) ms" if begun else "–"
    rows.append(["start with 10,000 keys", f"≤ {START_MS} ms", told, str(len(start or [])), verdict(begun and begun.middle, START_MS)])
    idle = samples.idle.get("scopegate")
    rows.append(["idle memory with 10,000 keys", f"≤ {IDLE_MIB} MiB", f"{idle[0] / 1024:.1f} MiB" if idle else "–", str(int(bool(idle))),
                 verdict(idle and idle[0] / 1024, IDLE_MIB)])
    rows.append(["idle connection", f"≤ {CONNECTION_KIB} KiB", f"{idle[1]:.1f} KiB" if idle else "–", str(int(bool(idle))),
                 verdict(idle and idle[1], CONNECTION_KIB)])
    return lines(["bar", "must be", "median (quartiles)", "pairs", ""], rows, markdown)
