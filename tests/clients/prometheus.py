"""A real Prometheus scrapes a gateway, and promtool reads what it is given: whatever the contract promises can be asked for.

    prometheus.py SCOPEGATE        the binary; `prometheus` and `promtool` are on the path

Exit 0 when promtool has no complaint, the target is up, each promised metric has the value that the requests made, and the rules of
deploy/alerts.yaml tell a gateway that is ill from one that is well.
"""

import http.server
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "deploy" / "alerts.yaml"

PATIENCE = 60
ALLOWED, DENIED = 7, 3

POLICY = "version: 1\nroutes:\n  GET /things/{id}: things:read\n  GET /secrets: secrets:read\n"

# The metrics of the contract, each with a question and the least and the most that its answer may be.
PROMISED = {
    "scopegate_requests_total": ('sum(scopegate_requests_total{route="GET /things/{id}",method="GET",status="200",decision="allow"})', ALLOWED, ALLOWED),
    "scopegate_denials_total": ('scopegate_denials_total{code="insufficient_scope"}', DENIED, DENIED),
    "scopegate_request_duration_seconds": ('histogram_quantile(0.99, sum by (le) (scopegate_request_duration_seconds_bucket{route="GET /things/{id}"}))', 0, 60),
    "scopegate_upstream_duration_seconds": ('scopegate_upstream_duration_seconds_count{route="GET /things/{id}"}', ALLOWED, ALLOWED),
    "scopegate_connections": ('scopegate_connections{side="upstream"}', 0, ALLOWED),
    "scopegate_key_cache_lookups_total": ('scopegate_key_cache_lookups_total{result="hit"}', ALLOWED + DENIED, 100),
    "scopegate_keys_cached": ("scopegate_keys_cached", 1, 1),
    "scopegate_policy_generation": ("scopegate_policy_generation", 1, 1),
    "scopegate_reloads_total": ('scopegate_reloads_total{result="failed"}', 0, 0),
    "scopegate_last_reload_successful": ("scopegate_last_reload_successful", 1, 1),
    "scopegate_store_up": ("scopegate_store_up", 1, 1),
    "scopegate_upstream_up": ("scopegate_upstream_up", 1, 1),
    "process_cpu_seconds_total": ("process_cpu_seconds_total", 0, 600),
    "process_max_fds": ("process_max_fds", 10, 1e18),
    "process_open_fds": ("process_open_fds", 5, 1000),
    "process_resident_memory_bytes": ("process_resident_memory_bytes", 1e6, 1e9),
    "process_start_time_seconds": ("time() - process_start_time_seconds", 0, 600),
    "process_virtual_memory_bytes": ("process_virtual_memory_bytes", 1e6, 1e14),
}


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def fetch(url, headers=None):
    """Status and body; None where nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()
    except OSError:
        return None, b""


def until(what, found):
    end = time.monotonic() + PATIENCE
    while (result := found()) is None:
        if time.monotonic() > end:
            sys.exit(f"waited {PATIENCE} s for {what}")
        time.sleep(0.1)
    return result


def scrape(server):
    """The one target of a Prometheus, once it was scraped."""
    status, body = fetch(f"{server}/api/v1/targets?state=active")
    # It says 503 while it starts.
    targets = json.loads(body)["data"]["activeTargets"] if status == 200 else []
    return targets[0] if targets and targets[0]["health"] != "unknown" else None


def ask(server, question):
    """The number that answers a question; None where nothing does yet."""
    _, body = fetch(f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": question}))
    answer = json.loads(body) if body else {}
    if answer.get("status") == "error":
        sys.exit(f"{question}: {answer['error']}")
    result = answer.get("data", {}).get("result", [])
    return float(result[0]["value"][1]) if result else None


@contextmanager
def running(command, folder, log):
    """A process that does not outlive its use, however that ends."""
    with open(Path(folder, log), "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def a_gateway(binary, folder, upstream):
    """Its URL, the address of its admin listener, and a key."""
    port, admin = free_port(), free_port()
    Path(folder, "policy.yaml").write_text(POLICY)
    Path(folder, "scopegate.yaml").write_text(
        f"listen: 127.0.0.1:{port}\nadmin: {{ listen: '127.0.0.1:{admin}' }}\nupstream: {{ url: 'http://127.0.0.1:{upstream}' }}\n"
        "policy: policy.yaml\nkeys: { store: sqlite:keys.db }\nlog: { access: false }\n"
    )
    create = [binary, "keys", "create", "--name", "scraped", "--scopes", "things:read"]
    key = subprocess.run(create, cwd=folder, check=True, text=True, capture_output=True).stdout.strip()
    with running([binary, "serve"], folder, "gateway.log"):
        until("the gateway", lambda: True if fetch(f"http://127.0.0.1:{admin}/readyz")[0] == 200 else None)
        yield f"http://127.0.0.1:{port}", f"127.0.0.1:{admin}", key


@contextmanager
def a_prometheus(folder, target):
    """Its URL."""
    port = free_port()
    Path(folder, "prometheus.yml").write_text(
        f"global: {{ evaluation_interval: 1s }}\nrule_files: ['{RULES}']\n"
        f"scrape_configs:\n  - job_name: scopegate\n    scrape_interval: 1s\n    static_configs: [{{ targets: ['{target}'] }}]\n"
    )
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, folder, "prometheus.log"):
        yield f"http://127.0.0.1:{port}"


def check_rules():
    """What promtool has against the rules: how they are written, and what they say of figures that somebody thought out."""
    complaints = []
    for question in (["check", "rules", RULES], ["test", "rules", HERE / "alerts.yaml"]):
        said = subprocess.run(["promtool", *question], capture_output=True, text=True)
        if said.returncode != 0:
            complaints.append(f"promtool {question[0]} rules: {said.stdout}{said.stderr}")
    return complaints


def evaluated(server):
    """The rules, once each of them was evaluated."""
    status, body = fetch(f"{server}/api/v1/rules")
    rules = [rule for group in json.loads(body)["data"]["groups"] for rule in group["rules"]] if status == 200 else []
    return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None


def check(gateway, admin, key, folder):
    """What is wrong with the gateway and what it says of itself."""
    for expected, count, target in ((200, ALLOWED, "/things/1"), (403, DENIED, "/secrets")):
        for _ in range(count):
            status, _ = fetch(gateway + target, {"Authorization": f"Bearer {key}"})
            assert status == expected, (target, status)
    _, text = fetch(f"http://{admin}/metrics")
    said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    complaints = check_rules()
    if said.returncode != 0 or said.stdout or said.stderr:
        complaints.append(f"promtool: exit {said.returncode}: {(said.stdout + said.stderr).decode()}")
    with a_prometheus(folder, admin) as server:
        return complaints + look(server)


def look(server):
    """What is wrong with what a Prometheus was given."""
    target = until("a scrape", lambda: scrape(server))
    if target["health"] != "up" or target["lastError"]:
        return [f"the target is {target['health']}: {target['lastError']}"]
    complaints = []
    for name, (question, least, most) in PROMISED.items():
        found = until(name, lambda: ask(server, question))
        if not least <= found <= most:
            complaints.append(f"{name}: {question} is {found}, and should be {least} to {most}")
    rules = until("the rules", lambda: evaluated(server))
    complaints += [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    complaints += [f"{rule['name']}: {rule['state']} of a gateway that is well" for rule in rules if rule["state"] != "inactive"]
    print(f"prometheus: {len(rules)} rules, none of which says anything")
    print(f"prometheus: up, {len(PROMISED)} metrics asked for, {ask(server, 'scrape_samples_scraped'):.0f} samples a scrape")
    return complaints


def main(binary):
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed")
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        with a_gateway(str(Path(binary).resolve()), folder, upstream.server_port) as (gateway, admin, key):
            complaints = check(gateway, admin, key, folder)
    print("\n".join(complaints) or "prometheus: promtool has no complaint")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
