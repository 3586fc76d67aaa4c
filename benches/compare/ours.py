"""What is of this repository: ScopeGate, and the least that any proxy can be."""

import hashlib
import json

from contestant import H1, Contestant, said


class Floor(Contestant):
    name, PROTOCOLS = "floor", (H1,)
    what = "passes bytes from socket to socket and reads none of them: no proxy of HTTP can cost less"

    def version(self):
        return "of this repository"

    def prepare(self, site):
        return [self.binary, "floor", str(site.ports["plain"]), str(site.upstream)]


class ScopeGate(Contestant):
    name, checks = "scopegate", True
    what = "a key file, everything that is on by default (metrics, timeouts, reload, identity headers), but no access log"
    access, output = "false", "stdout"

    def version(self):
        return said(self.binary, "--version")

    def prepare(self, site):
        def listed(scopes) -> str:
            return f"[{', '.join(json.dumps(scope) for scope in scopes)}]"

        site.write("policy.yaml", "version: 1\nroutes:\n" + "".join(
            f"  {route.method} {route.template}: {listed(route.scopes) if route.scopes else '{ auth: key }'}\n"
            for route in site.plan.routes))
        site.write("keys.yaml", "keys:\n" + "".join(
            f"  - {{ name: {key.name}, sha256: {hashlib.sha256(key.value.encode()).hexdigest()}, scopes: {listed(key.scopes)} }}\n"
            for key in site.plan.keys))
        ports = site.ports
        return [self.binary, "serve", "-c", site.write("scopegate.yaml", f"""
listen:
  - {{ address: "127.0.0.1:{ports["plain"]}", tls: false }}
  - 127.0.0.1:{ports["tls"]}
tls: {{ cert: {site.cert}, key: {site.key} }}
admin: {{ listen: "127.0.0.1:{ports["h2c"]}" }}
upstream: {{ url: "http://127.0.0.1:{site.upstream}" }}
policy: policy.yaml
keys: {{ store: "file:keys.yaml", accept: [bearer] }}
log: {{ access: {self.access}, output: {self.output} }}
workers: 1
""")]


class ScopeGateLog(ScopeGate):
    name, access = "scopegate-log", "true"
    what = "the same with the access log, which goes to /dev/null"


class Build(ScopeGate):
    """Another build of ScopeGate, by name."""

    def __init__(self, binary: str, name: str):
        super().__init__(binary)
        self.name, self.what = name, "another build"
