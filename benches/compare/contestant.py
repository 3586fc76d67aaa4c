"""What is compared, each with the configuration that it is given.

A contestant says in `PROTOCOLS` what it can speak to callers, writes its files in `site.folder` and says what is to be run. Plain ones
forward whatever comes; the others do what ScopeGate does: find the key, find the operation, test the scopes, and take the key out.
"""

import os
import shutil
import subprocess
from pathlib import Path

from room import Fault

H1, H1_TLS, H2_TLS, H2C = "h1", "h1-tls", "h2-tls", "h2c"
EVERYTHING = (H1, H1_TLS, H2_TLS, H2C)
REFUSAL = '{"error":"refused"}'


class Site:
    """Where one contestant runs: its folder, its ports, and what stands behind it."""

    def __init__(self, folder: Path, ports: dict, upstream: int, plan, certificates: Path):
        self.folder, self.ports, self.upstream, self.plan = folder, ports, upstream, plan
        self.cert, self.key = certificates / "cert.pem", certificates / "key.pem"

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)


def starred(template: str) -> str:
    return template.replace("{id}", "*")


def program(name: str, *places: Path) -> str | None:
    """The program that the environment names in capitals, else one in these places, else the system's."""
    named = os.environ.get(name.upper())
    if named:
        return sound(f"{name.upper()}=", named)
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def sound(named: str, path: str) -> str:
    """The path that somebody has named, which must be one of a program."""
    if not (Path(path).is_file() and os.access(path, os.X_OK)):
        raise Fault(f"{named}{path}: there is no program")
    return path


def said(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return (ran.stdout + ran.stderr).strip()


class Contestant:
    """`checks`: whether it looks at keys. `patience`: seconds until it has to answer."""

    name, checks, patience = "", False, 30
    PROTOCOLS: tuple = EVERYTHING
    environment: dict = {}
    what = ""

    def __init__(self, binary: str):
        self.binary = binary

    def version(self) -> str:
        return said(self.binary, "--version").splitlines()[0]

    def prepare(self, site: Site) -> list[str]:
        raise NotImplementedError

    def port(self, site: Site, protocol: str) -> int:
        return site.ports["tls" if protocol in (H1_TLS, H2_TLS) else "plain"]
