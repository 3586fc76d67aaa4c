"""HAProxy, as a proxy that looks at nothing, and with keys and scopes."""

import hashlib
import json

from contestant import H2C, REFUSAL, Contestant, Site, said, starred


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
    # As large as ScopeGate's; 16 KiB are usual.
    tune.bufsize 65536
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
