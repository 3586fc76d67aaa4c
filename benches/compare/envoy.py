"""Envoy, as a proxy that looks at nothing, and with keys and scopes."""

import json

from contestant import REFUSAL, Contestant, Site, said, starred


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
                {"name": "router", "typed_config": {"@type": f"{kind}filters.http.router.v3.Router", "dynamic_stats": False, "suppress_envoy_headers": True}},
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
