"""Who is compared, each with the configuration that it is given.

A contestant says in `PROTOCOLS` what it can speak to callers, writes its files in `site.folder` and says what is to be run. Plain ones
forward whatever comes; the others do what ScopeGate does: find the key, find the operation, test the scopes, and take the key out.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
        return named
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


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


class Floor(Contestant):
    name, PROTOCOLS = "floor", (H1,)
    what = "passes bytes from socket to socket and reads none of them: no proxy of HTTP can cost less"

    def version(self):
        return "of this repository"

    def prepare(self, site):
        return [self.binary, "floor", str(site.ports["plain"]), str(site.upstream)]


class NginxPlain(Contestant):
    name = "nginx-plain"
    what = "forwards, keeps connections to the upstream, writes no log"

    def version(self):
        return said(self.binary, "-v").removeprefix("nginx version: ")

    def port(self, site, protocol):
        return site.ports["h2c"] if protocol == H2C else super().port(site, protocol)

    def judge(self, site: Site) -> tuple[str, str]:
        """What stands beside the server, and within its location."""
        return "", ""

    def prepare(self, site):
        beside, within = self.judge(site)
        number = tuple(map(int, re.search(r"nginx/(\d+)\.(\d+)", self.version()).groups()))
        # Since 1.25 HTTP/2 is a matter of the server, before that of each listener.
        listener, server = (" http2", "") if number < (1, 25) else ("", "http2 on;")
        ports, folder = site.ports, site.folder
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        location = f"""location / {{
            {within}
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            client_max_body_size 0;
        }}"""
        return [self.binary, "-p", str(folder), "-e", f"{folder}/errors", "-c", site.write("nginx.conf", f"""
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors crit;
pcre_jit on;
events {{ worker_connections 16384; }}
http {{
    {paths}
    access_log off;
    server_tokens off;
    keepalive_timeout 1h;
    keepalive_requests 100000000;
    ssl_certificate {site.cert};
    ssl_certificate_key {site.key};
    ssl_protocols TLSv1.3;
    {beside}
    upstream behind {{
        server 127.0.0.1:{site.upstream};
        keepalive 256;
        keepalive_requests 100000000;
        keepalive_timeout 1h;
    }}
    server {{ listen 127.0.0.1:{ports["plain"]} backlog=4096; {location} }}
    server {{ listen 127.0.0.1:{ports["h2c"]}{listener}; {server} {location} }}
    server {{ listen 127.0.0.1:{ports["tls"]} ssl{listener}; {server} {location} }}
}}
""")]


class NginxAuth(NginxPlain):
    name, checks = "nginx-auth", True
    what = "`map` from the header to the key's scopes (keys in clear: nginx cannot hash), `map` from method and path to those that are needed, a regular expression with back-references compares"

    def judge(self, site):
        site.write("keys.map", "".join(f'"Bearer {key.value}" " {" ".join(key.scopes)} ";\n' for key in site.plan.keys))
        site.write("routes.map", "".join(
            f'"{route.method} {starred(route.template)}" "{",".join((*route.scopes, "", "")[:2])}";\n' for route in site.plan.routes))
        beside = f"""
    map_hash_max_size 65536;
    map_hash_bucket_size 2048;
    variables_hash_max_size 2048;
    map $http_authorization $held {{ default ""; include {site.folder}/keys.map; }}
    map $uri $shape {{ default $uri; "~^(?<before>/v1/[^/]+/)[^/]+(?<behind>/.*)?$" "$before*$behind"; }}
    map "$request_method $shape" $needed {{ default "unknown"; include {site.folder}/routes.map; }}
    # Each of the one or two scopes stands among those that are held; a route without any has nothing before the comma.
    map "$needed|$held" $verdict {{
        default 403;
        "~\\|$" 401;
        "~^,\\|" 200;
        "~^([^,|]+),\\|.* \\1 " 200;
        "~^([^,|]+),([^,|]+)\\|(?=.* \\1 ).* \\2 " 200;
    }}"""
        within = f"""if ($verdict = 401) {{ return 401 '{REFUSAL}'; }}
            if ($verdict = 403) {{ return 403 '{REFUSAL}'; }}
            proxy_set_header Authorization "";"""
        return beside, within


class HaproxyPlain(Contestant):
    name = "haproxy-plain"
    what = "forwards, one thread, shares connections to the upstream, writes no log"

    def version(self):
        return said(self.binary, "-v").splitlines()[0].split(" - ")[0]

    def port(self, site, protocol):
        return site.ports["h2c"] if protocol == H2C else super().port(site, protocol)

    def rules(self, site: Site) -> str:
        return ""

    def prepare(self, site):
        both = site.write("both.pem", site.cert.read_text() + site.key.read_text())
        return [self.binary, "-db", "-f", site.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 8000
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend before
    bind 127.0.0.1:{site.ports["plain"]} backlog 4096
    bind 127.0.0.1:{site.ports["h2c"]} proto h2
    bind 127.0.0.1:{site.ports["tls"]} ssl crt {both} alpn h2,http/1.1
{self.rules(site)}
    default_backend behind
backend behind
    server api 127.0.0.1:{site.upstream} pool-purge-delay 1h
""")]


class HaproxyAuth(HaproxyPlain):
    name, checks = "haproxy-auth", True
    what = "`sha2(256)` and a map to a mask of scopes, a map from method and path to the mask that is needed, `and` and `xor`"

    def rules(self, site):
        bit = {scope: 1 << place for place, scope in enumerate(site.plan.scopes)}
        known = 1 << 62
        masks = [(hashlib.sha256(key.value.encode()).hexdigest().upper(), key.scopes) for key in site.plan.keys]
        keys = site.write("keys.map", "".join(f"{digest} {known | sum(map(bit.get, held))}\n" for digest, held in masks))
        routes = site.write("routes.map", "".join(
            f"{route.method}:{starred(route.template)} {known | sum(map(bit.get, route.scopes))}\n" for route in site.plan.routes))
        refuse = f'content-type application/json string "{json.dumps(REFUSAL)[1:-1]}"'
        return f"""    http-request set-var(txn.held) http_auth_bearer,sha2(256),hex,map_str_int({keys},0)
    http-request return status 401 {refuse} if {{ var(txn.held) -m int 0 }} || !{{ var(txn.held) -m found }}
    http-request set-var(txn.shape) 'path,regsub("^(/v1/[^/]+/)[^/]+","\\1*")'
    http-request set-var(txn.needed) method,concat(:,txn.shape),map_str_int({routes},0)
    http-request return status 403 {refuse} if {{ var(txn.needed) -m int 0 }} || !{{ var(txn.needed) -m found }}
    http-request return status 403 {refuse} unless {{ var(txn.held),and(txn.needed),xor(txn.needed) -m int 0 }}
    http-request del-header authorization"""


class EnvoyPlain(Contestant):
    name, patience = "envoy-plain", 60
    what = "the router filter alone, one worker, no access log"

    def version(self):
        return "envoy " + said(self.binary, "--version").split("version: ")[-1].split("/")[1]

    def filters(self, site: Site) -> list:
        return []

    def prepare(self, site):
        kind = "type.googleapis.com/envoy.extensions."
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": "behind", "timeout": "0s"}}]
        manager = {
            "@type": f"{kind}filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "before",
            "generate_request_id": False,
            "stream_idle_timeout": "0s",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            "http_filters": [
                *self.filters(site),
                {"name": "router", "typed_config": {"@type": f"{kind}filters.http.router.v3.Router", "dynamic_stats": False}},
            ],
        }
        pair = {"certificate_chain": {"filename": str(site.cert)}, "private_key": {"filename": str(site.key)}}
        tls = {
            "@type": f"{kind}transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [pair]},
        }

        def listener(port: int, more: dict) -> dict:
            chain = {"filters": [{"name": "http", "typed_config": manager}], **more}
            return {"address": address(port), "filter_chains": [chain]}

        def address(port: int) -> dict:
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        ends = [{"lb_endpoints": [{"endpoint": {"address": address(site.upstream)}}]}]
        limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)
        cluster = {
            "name": "behind",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {"cluster_name": "behind", "endpoints": ends},
        }
        secured = {"transport_socket": {"name": "tls", "typed_config": tls}}
        listeners = [listener(site.ports["plain"], {}), listener(site.ports["tls"], secured)]
        config = site.write("envoy.json", json.dumps({"static_resources": {"listeners": listeners, "clusters": [cluster]}}))
        return [self.binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "critical"]


class EnvoyAuth(EnvoyPlain):
    name, checks = "envoy-auth", True
    what = "`api_key_auth` that hides the key and names the client by its scopes, and a Lua filter with a table of routes"

    def filters(self, site):
        kind = "type.googleapis.com/envoy.extensions.filters.http."
        keys = [{"key": key.value, "client": f" {' '.join(key.scopes)} "} for key in site.plan.keys]
        known = {
            "@type": f"{kind}api_key_auth.v3.ApiKeyAuth",
            "credentials": keys,
            "key_sources": [{"header": "Authorization"}],
            "forwarding": {"header": "x-held", "hide_credentials": True},
        }
        table = "".join(
            f'["{route.method} {starred(route.template)}"] = {{{", ".join(json.dumps(f" {scope} ") for scope in route.scopes)}}},\n'
            for route in site.plan.routes)
        code = f"""
local needed = {{
{table}}}
local find, sub = string.find, string.sub
function envoy_on_request(handle)
  local headers = handle:headers()
  local path, held = headers:get(":path"), headers:get("x-held") or ""
  local query = find(path, "?", 1, true)
  if query then path = sub(path, 1, query - 1) end
  local resource = find(path, "/", 5, true)
  if resource then
    local id = find(path, "/", resource + 1, true)
    path = sub(path, 1, resource) .. "*" .. (id and sub(path, id) or "")
  end
  local scopes = needed[headers:get(":method") .. " " .. path]
  local allowed = scopes ~= nil
  if allowed then
    for place = 1, #scopes do
      allowed = allowed and find(held, scopes[place], 1, true) ~= nil
    end
  end
  if not allowed then
    handle:respond({{[":status"] = "403", ["content-type"] = "application/json"}}, '{REFUSAL}')
    return
  end
  headers:remove("x-held")
end
"""
        lua = {"@type": f"{kind}lua.v3.Lua", "default_source_code": {"inline_string": code}}
        return [{"name": "keys", "typed_config": known}, {"name": "scopes", "typed_config": lua}]


class CaddyPlain(Contestant):
    name, patience, environment = "caddy-plain", 60, {"GOMAXPROCS": "1"}
    what = "`reverse_proxy`, one processor, no log"

    def version(self):
        return "caddy " + said(self.binary, "version").split(" ")[0]

    def judge(self, site: Site) -> str:
        return ""

    def prepare(self, site):
        handled = f"""    {self.judge(site)}
    reverse_proxy 127.0.0.1:{site.upstream} {{
        header_up -Authorization
        transport http {{
            keepalive_idle_conns_per_host 512
            compression off
        }}
    }}
"""
        if not self.checks:
            handled = handled.replace("        header_up -Authorization\n", "")
        config = site.write("Caddyfile", f"""{{
    admin off
    auto_https off
    persist_config off
    storage file_system {site.folder}/storage
    log {{
        level ERROR
    }}
    servers {{
        protocols h1 h2 h2c
    }}
}}
http://127.0.0.1:{site.ports["plain"]}, http://api.example.test:{site.ports["plain"]} {{
{handled}}}
https://localhost:{site.ports["tls"]}, https://api.example.test:{site.ports["tls"]} {{
    tls {site.cert} {site.key}
{handled}}}
""")
        return [self.binary, "run", "--adapter", "caddyfile", "--config", config]


class CaddyAuth(CaddyPlain):
    name, checks = "caddy-auth", True
    what = "two `map`s, of keys and of routes, which it reads from top to bottom, and an expression"

    def judge(self, site):
        keys = "".join(f'        "Bearer {key.value}" " {" ".join(key.scopes)} "\n' for key in site.plan.keys)
        routes = "".join(self.line(route) for route in site.plan.routes)
        return f"""map {{header.Authorization}} {{held}} {{
{keys}        default ""
    }}
    @nobody expression {{held}} == ""
    respond @nobody `{REFUSAL}` 401
    map "{{method}} {{path}}" {{one}} {{two}} {{
{routes}        default "none" "none"
    }}
    @may_not expression !({{held}}.contains({{one}}) && {{held}}.contains({{two}}))
    respond @may_not `{REFUSAL}` 403"""

    @staticmethod
    def line(route) -> str:
        scopes = [f'" {scope} "' for scope in route.scopes] + ['" "', '" "']
        if "{id}" not in route.template:
            return f'        "{route.method} {route.template}" {scopes[0]} {scopes[1]}\n'
        pattern = route.template.replace("{id}", "[^/]+")
        return f'        "~^{route.method} {pattern}$" {scopes[0]} {scopes[1]}\n'


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


ALL = (Floor, NginxPlain, NginxAuth, HaproxyPlain, HaproxyAuth, EnvoyPlain, EnvoyAuth, CaddyPlain, CaddyAuth, ScopeGate, ScopeGateLog)
