"""A scanner that nobody here wrote (sslyze) looks at TLS towards callers, as it is configured by default and with 1.3 alone.

    tls.py SCOPEGATE        the binary; the Python that runs this has sslyze installed

Exit 0 when both are what Mozilla recommends (intermediate, modern), and no known weakness is found.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 60
POLICY = "version: 1\nroutes:\n  GET /: { auth: anyone }\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def certificate(folder):
    """Self-signed, for 90 days: what is judged is what the gateway does with it."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 90 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command.split() + names, cwd=folder, check=True, capture_output=True)


def wait_until_open(port, gateway):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if gateway.poll() is not None or time.monotonic() > end:
                sys.exit("the gateway does not listen")
            time.sleep(0.05)


def weaknesses(results):
    """Whatever the scanner found that it should not have."""
    found = []

    def look(name, is_bad):
        part = results[name]
        if part["status"] != "COMPLETED":
            found.append(f"{name}: {part['status']} {part['error_reason']}")
        elif is_bad(part["result"]):
            found.append(f"{name}: {json.dumps(part['result'])[:300]}")

    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        look(f"{old}_cipher_suites", lambda it: it["accepted_cipher_suites"])
    look("heartbleed", lambda it: it["is_vulnerable_to_heartbleed"])
    look("openssl_ccs_injection", lambda it: it["is_vulnerable_to_ccs_injection"])
    look("robot", lambda it: not it["robot_result"].startswith("NOT_VULNERABLE"))
    look("session_renegotiation", lambda it: it["is_vulnerable_to_client_renegotiation_dos"])
    look("tls_compression", lambda it: it["supports_compression"])
    look("tls_1_3_early_data", lambda it: it["supports_early_data"])
    return found


def scan(binary, version, recommended):
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        port, admin = free_port(), free_port()
        text = (
            f"listen: 127.0.0.1:{port}\nadmin: {{ listen: '127.0.0.1:{admin}' }}\nupstream: {{ url: http://127.0.0.1:9 }}\n"
            f"policy: policy.yaml\nkeys: {{ store: sqlite:keys.db }}\nlog: {{ access: false }}\n"
            f"tls: {{ cert: cert.pem, key: key.pem, min_version: {version} }}\n"
        )
        Path(folder, "scopegate.yaml").write_text(text)
        Path(folder, "policy.yaml").write_text(POLICY)
        with open(Path(folder, "log"), "w") as log:
            gateway = subprocess.Popen(
                [Path(binary).resolve(), "serve"], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until_open(port, gateway)
            command = [sys.executable, "-m", "sslyze", f"--mozilla_config={recommended}", "--json_out=scan.json"]
            command += ["--early_data", "--sni=localhost", f"127.0.0.1:{port}"]
            said = subprocess.run(command, cwd=folder, text=True, capture_output=True)
            report = json.loads(Path(folder, "scan.json").read_text())
        finally:
            gateway.terminate()
            gateway.wait(PATIENCE)
        found = weaknesses(report["server_scan_results"][0]["scan_result"])
        # Nobody vouches for the certificate, which is the test's own.
        _, _, verdict = said.stdout.partition("COMPLIANCE AGAINST")
        complaints = [line for line in re.findall(r"^ +\* (.*)$", verdict, re.M) if "path_validation" not in line]
        if f'"{recommended}" configuration' not in verdict or not re.search("Not compliant|OK", verdict):
            complaints.append(said.stdout[-2000:] + said.stderr)
        return found + complaints


def main(binary):
    failed = False
    for version, recommended in (("1.2", "intermediate"), ("1.3", "modern")):
        found = scan(binary, version, recommended)
        failed = failed or bool(found)
        print(f"tls from {version}: {'; '.join(found) if found else recommended + ', no weakness found'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
