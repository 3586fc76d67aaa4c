"""Caddy, as a proxy that looks at nothing, and with keys and scopes."""

from contestant import REFUSAL, Contestant, Site, said


class CaddyPlain(Contestant):
    name, patience = "caddy-plain", 60
    # What it keeps goes into the folder that it runs in.
    environment = {"GOMAXPROCS": "1", "XDG_DATA_HOME": ".", "XDG_CONFIG_HOME": "."}
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
        # A site of TLS without a name: for a name Caddy makes an authority of its own, whatever else is said, and has the machine trust it.
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
https://:{site.ports["tls"]} {{
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
