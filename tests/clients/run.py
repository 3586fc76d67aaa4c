"""Vendors' own clients through a real gateway, with every byte that the upstream gets looked at.

    run.py SCOPEGATE        the binary; the Python that runs this has the clients installed

    client → gateway (config/klaviyo.yaml) → recorder → demo's gateway → demo's stub

The gateway under test holds one key of the demo as its upstream credential, as it would hold a vendor's key. The recorder
stands where the vendor would: it must never have seen a key that the gateway gave out. Exit 0 when all of that holds.
"""

import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent.parent / "config" / "klaviyo.yaml"
PATIENCE = 30


class Recorder:
    """Passes bytes between its callers and one address, and keeps what the callers sent."""

    def __init__(self, to):
        self.to = to
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            caller, _ = self.listener.accept()
            server = socket.create_connection(self.to)
            sent = bytearray()
            self.connections.append(sent)
            for source, sink, kept in ((caller, server, sent), (server, caller, None)):
                threading.Thread(target=self.relay, args=(source, sink, kept), daemon=True).start()

    def sent(self):
        return b"\n".join(self.connections)

    @staticmethod
    def relay(source, sink, kept):
        try:
            while block := source.recv(65536):
                if kept is not None:
                    kept.extend(block)
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()


class Process:
    """A scopegate that runs until the end of a `with`, with what it said kept."""

    def __init__(self, binary, arguments, folder, environment):
        self.said = ""
        self.child = subprocess.Popen(
            [binary, *arguments], cwd=folder, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self.keep, daemon=True).start()

    def keep(self):
        for line in self.child.stdout:
            self.said += line

    def __enter__(self):
        return self

    def __exit__(self, *fault):
        self.child.kill()
        self.child.wait()

    def until(self, what, found):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            result = found()
            if result:
                return result
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"waited for {what}; scopegate said:\n{self.said}")


def status(address, method, path, headers, body=None):
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def figure(admin, name, label=""):
    """The value of a metric, or None where the gateway does not answer yet."""
    host, port = admin.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return None
    finally:
        connection.close()
    found = re.search(rf"^{name}(?:{{[^}}]*{label}[^}}]*}})? ([0-9.e+]+)$", text, re.M)
    return float(found[1]) if found else None


def demo_keys(demo):
    """The address of the demo's gateway and its three keys, from the lines that it prints to be copied."""
    keys = sorted(set(re.findall(r"\bsg_[0-9A-Za-z]{36}\b", demo.said)))
    address = re.search(r"curl.*http://([^/\s'\"]+)/.*include=lists", demo.said)
    return (address[1], keys) if address and len(keys) == 3 else None


def full_key(address, keys):
    body = '{"data":{"type":"profile","attributes":{"email":"a@orchard.example"}}}'
    for key in keys:
        headers = {"Authorization": f"Klaviyo-API-Key {key}", "revision": "2026-10-15", "Content-Type": "application/vnd.api+json"}
        if (status(address, "POST", "/api/profiles", headers, body) or 500) < 300:
            return key
    raise SystemExit("no key of the demo may write")


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "127.0.0.1:%d" % listener.getsockname()[1]


def create_key(binary, folder, environment, name, *grant, config=CONFIG):
    command = [binary, "keys", "create", "-c", str(config), "--name", name, *grant]
    made = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    if made.returncode:
        raise SystemExit(f"a key could not be made:\n{made.stderr}")
    return made.stdout.strip()


def look_at(sent, keys, credential):
    """What the upstream got: the credential on every request, a gateway's key on none."""
    requests = len(re.findall(rb"[A-Z]+ /\S* HTTP/1\.1\r\n", sent))
    swapped = sent.count(b"Klaviyo-API-Key " + credential.encode())
    assert requests > 20, f"the recorder saw only {requests} requests"
    assert swapped == requests, f"{swapped} of {requests} requests had the upstream's credential"
    for name, key in keys.items():
        assert key.encode() not in sent, f"the upstream has seen the key {name}"
    print(f"ok    {requests} requests reached the upstream, each with its own credential, none with a key of the gateway")


def main(binary):
    folder = tempfile.TemporaryDirectory()
    plain = {"PATH": os.environ["PATH"], "HOME": folder.name, "TMPDIR": folder.name}
    with folder, Process(binary, ["demo"], folder.name, plain) as demo:
        address, keys = demo.until("the demo's keys", lambda: demo_keys(demo))
        credential = full_key(address, keys)
        host, port = address.rsplit(":", 1)
        recorder = Recorder((host, int(port)))
        listen, admin = free_address(), free_address()
        environment = plain | {
            "KLAVIYO_KEY": credential, "SCOPEGATE_UPSTREAM": f"http://{recorder.address}", "SCOPEGATE_LISTEN": listen,
            "SCOPEGATE_ADMIN": admin, "SCOPEGATE_STORE": f"sqlite:{folder.name}/clients.db",
        }
        made = {
            "PROFILES": create_key(binary, folder.name, environment, "profiles", "--scopes", "profiles:read"),
            "READ_ONLY": create_key(binary, folder.name, environment, "read-only", "--read-only"),
            "FULL": create_key(binary, folder.name, environment, "full", "--full"),
        }
        with Process(binary, ["serve", "-c", str(CONFIG)], folder.name, environment) as gateway:
            gateway.until("the gateway to be ready", lambda: status(admin, "GET", "/readyz", {}) == 200)
            client = os.environ | {f"SCOPEGATE_KEY_{name}": key for name, key in made.items()} | {"SCOPEGATE_URL": f"http://{listen}"}
            for script in sorted(HERE.glob("*_sdk.py")):
                print(f"--    {script.name}", flush=True)
                if subprocess.run([sys.executable, str(script)], env=client, stdin=subprocess.DEVNULL).returncode:
                    raise SystemExit(f"{script.name} failed")
            look_at(recorder.sent(), made, credential)
            for name, key in made.items():
                assert key not in gateway.said, f"the key {name} is in the log"


def protocols(binary):
    """Clients of a protocol rather than of a vendor: each brings an upstream of its own."""
    for script in sorted(HERE.glob("*_protocol.py")):
        print(f"--    {script.name}", flush=True)
        if subprocess.run([sys.executable, str(script), binary], stdin=subprocess.DEVNULL).returncode:
            raise SystemExit(f"{script.name} failed")


if __name__ == "__main__":
    scopegate = str(Path(sys.argv[1]).resolve())
    main(scopegate)
    protocols(scopegate)
