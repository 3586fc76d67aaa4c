"""The API that every contestant protects: routes, scopes, keys and what is asked. The same on every machine.

A made-up parcel service: 28 resources with eleven operations each, a scope to read and one to write for each resource, and one
more that histories need beside it. A quarter of the keys may do everything, a quarter may read everything, and half have some
scopes by name.
"""

import random
from pathlib import Path
from typing import NamedTuple

SEED = 8_2026
RESOURCES = (
    "addresses archives carriers claims contracts customers customs depots drivers events fleets handovers holidays "
    "invoices labels manifests notices offers parcels pickups quotes rates receipts refunds regions returns tours vehicles"
).split()
HISTORY = "history:read"
# Method, what follows the resource, and whether it reads.
OPERATIONS = (
    ("GET", "", True),
    ("POST", "", False),
    ("GET", "/{id}", True),
    ("PATCH", "/{id}", False),
    ("DELETE", "/{id}", False),
    ("GET", "/{id}/notes", True),
    ("POST", "/{id}/notes", False),
    ("GET", "/{id}/links/owner", True),
    ("PATCH", "/{id}/links/owner", False),
    ("GET", "/{id}/history", True),
    ("GET", "/{id}/summary", True),
)


class Route(NamedTuple):
    method: str
    template: str
    scopes: tuple[str, ...]


class Key(NamedTuple):
    value: str
    name: str
    scopes: tuple[str, ...]


def make_routes() -> list[Route]:
    routes = [Route("GET", "/v1/status", ())]
    for resource in RESOURCES:
        for method, rest, reads in OPERATIONS:
            scopes = (f"{resource}:{'read' if reads else 'write'}",)
            if rest == "/{id}/history":
                scopes += (HISTORY,)
            routes.append(Route(method, f"/v1/{resource}{rest}", scopes))
    return routes


class Plan:
    """Routes and keys, and files of requests in `folder`."""

    def __init__(self, folder: Path, keys: int, requests: int):
        self.folder = folder
        self.draw = random.Random(SEED)
        self.routes = make_routes()
        self.scopes = sorted({scope for route in self.routes for scope in route.scopes})
        self.keys = [self.key(number) for number in range(keys)]
        self.files = {}
        gets = [route for route in self.routes if route.method == "GET" and route.scopes]
        posts = [route for route in self.routes if route.method == "POST"]
        archive = [route for route in gets if route.template == "/v1/archives/{id}"]
        self.write("get", [self.request(gets, True) for _ in range(requests)])
        self.write("forbidden", [self.request(gets, False) for _ in range(requests)])
        self.write("unknown", [self.unknown(gets, number) for number in range(requests)])
        self.write("post", [self.request(posts, True, 100 << 10) for _ in range(32)])
        self.write("large", [self.request(archive, True) for _ in range(64)])

    def key(self, number: int) -> Key:
        held = (
            self.scopes,
            [scope for scope in self.scopes if scope.endswith(":read")],
            sorted(self.draw.sample(self.scopes, self.draw.randint(3, 10))),
            sorted(self.draw.sample(self.scopes, self.draw.randint(3, 10))),
        )[number % 4]
        return Key(self.value(), f"shop {number}", tuple(held))

    def value(self) -> str:
        return f"parcel_{self.draw.getrandbits(160):040x}"

    def target(self, route: Route) -> str:
        return route.template.replace("{id}", f"{self.draw.getrandbits(80):020x}")

    def request(self, routes: list[Route], allowed: bool, body: int = 0) -> tuple:
        while True:
            key, route = self.draw.choice(self.keys), self.draw.choice(routes)
            # Not of archives unless they are asked for: their answers are large.
            if len(routes) > 1 and route.template.startswith("/v1/archives/"):
                continue
            if (set(route.scopes) <= set(key.scopes)) is allowed:
                return route.method, self.target(route), key.value, body

    def unknown(self, routes: list[Route], number: int) -> tuple:
        """Without a key, or with one that nobody made."""
        route = self.draw.choice(routes)
        return route.method, self.target(route), "" if number % 2 else self.value(), 0

    def write(self, name: str, requests: list[tuple]) -> None:
        self.files[name] = self.folder / f"{name}.tsv"
        self.files[name].write_text("".join("\t".join(map(str, request)) + "\n" for request in requests))

    def first(self, requests: str = "get") -> tuple[str, str]:
        """Target and key of a request that is allowed."""
        _, target, key, _ = self.files[requests].read_text().splitlines()[0].split("\t")
        return target, key
