"""nginx, as a proxy that looks at nothing, and with keys and scopes."""

import re

from contestant import H2C, REFUSAL, Contestant, Site, said, starred


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
            # As large as ScopeGate's: with the 4 KiB that are usual an answer of 1 MiB takes six times the system calls.
            proxy_buffer_size 16k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;
            proxy_max_temp_file_size 0;
            client_max_body_size 0;
            client_body_buffer_size 128k;
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
