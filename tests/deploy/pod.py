"""Plays the part of Kubernetes for one container: mounts, probes, an update of a ConfigMap, the end of the pod.

Ports are replaced by free ones and the root of the file system by a folder; all else is as it was rendered.
"""

import base64
import hashlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import manifests

PATIENCE = 30
KEY = "the-key-of-the-test"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, question):
    """Asks until the answer is true."""
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


class Api:
    """The upstream: it says what it got, and holds `/…/slow` until it is let go."""

    def __init__(self):
        self.requests, self.arrived, self.release = [], threading.Event(), threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.requests.append((self.path, dict(self.headers)))
                if self.path.endswith("/slow"):
                    api.arrived.set()
                    api.release.wait(PATIENCE)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Pod:
    def __init__(self, binary, text, folder):
        self.binary, self.root, self.api = binary, Path(folder), Api()
        self.ports = {port: free_port() for port in ("8080", "9901", "9902")}
        for port, free in self.ports.items():
            text = text.replace(f":{port}", f":{free}").replace(f"containerPort: {port}", f"containerPort: {free}")
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{self.api.port}").replace("localhost:3000", f"localhost:{self.api.port}")
        text = text.replace("https://a.klaviyo.com", f"http://127.0.0.1:{self.api.port}")
        self.documents = manifests.documents(text)
        self.versions = itertools.count(1)
        deployment = next(document for document in self.documents if document["kind"] == "Deployment")
        self.spec = deployment["spec"]["template"]["spec"]
        containers = self.spec.get("initContainers", []) + self.spec["containers"]
        self.container = next(container for container in containers if container["name"] == "scopegate")
        for mount in self.container["volumeMounts"]:
            self.mount(mount["name"], self.content(mount["name"]))

    def content(self, volume):
        """The files of a volume: those of its ConfigMap or Secret, or what the cluster is said to have."""
        source = next(one for one in self.spec["volumes"] if one["name"] == volume)
        name = source["configMap"]["name"] if "configMap" in source else source["secret"]["secretName"]
        for document in self.documents:
            if document["kind"] in ("ConfigMap", "Secret") and document["metadata"]["name"] == name:
                encoded = document.get("data", {}) if document["kind"] == "Secret" else {}
                plain = document.get("stringData", {}) if document["kind"] == "Secret" else document["data"]
                return {**{key: base64.b64decode(value).decode() for key, value in encoded.items()}, **plain}
        return {"keys": {"keys.yaml": "keys: []\n"}, "credential": {"key": "real-credential"}, "more": {"token": "more"}}[volume]

    def mount(self, volume, content):
        """Writes a volume as the kubelet does: a folder of its own, and `..data` swapped to it."""
        path = next(mount["mountPath"] for mount in self.container["volumeMounts"] if mount["name"] == volume)
        folder = self.root / path.lstrip("/")
        version = f"..2026_{next(self.versions)}"
        (folder / version).mkdir(parents=True)
        for name, text in content.items():
            (folder / version / name).write_text(text)
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        (folder / "..data_tmp").symlink_to(version)
        os.replace(folder / "..data_tmp", folder / "..data")

    def argument(self, text):
        return str(self.root) + text if text.startswith("/etc/") else text

    def command(self, arguments):
        return [self.binary, *map(self.argument, arguments)]

    def environment(self):
        return {variable["name"]: variable["value"] for variable in self.container.get("env", [])}

    def check(self):
        """The files as mounted are a configuration without fault, and its tests pass."""
        command = self.command(["check", *self.container["args"][1:]])
        told = subprocess.run(command, env={**os.environ, **self.environment()}, capture_output=True, text=True)
        assert told.returncode == 0, told.stdout + told.stderr

    def start(self):
        # The address that the probes ask is the default of the gateway, and so stands in no file.
        environment = {**os.environ, **self.environment(), "SCOPEGATE_ADMIN": f"127.0.0.1:{self.ports['9901']}"}
        command = self.command(self.container["args"])
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = b""
        threading.Thread(target=self.listen, daemon=True).start()
        until("the startup probe", lambda: self.probe("startupProbe"))
        until("the readiness probe", lambda: self.probe("readinessProbe"))
        assert self.probe("livenessProbe"), "a probe of a gateway that has started"

    def listen(self):
        for line in self.process.stdout:
            self.said += line

    def probe(self, name):
        probe = self.container[name]
        if "exec" in probe:
            command = self.command(probe["exec"]["command"][1:])
            return subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0
        port = next(port["containerPort"] for port in self.container["ports"] if port["name"] == probe["httpGet"]["port"])
        try:
            return self.get(probe["httpGet"]["path"], port=port)[0] == 200
        except OSError:
            return False

    def get(self, path, key=None, port=None):
        caller = http.client.HTTPConnection("127.0.0.1", port or self.ports["8080"], timeout=PATIENCE)
        try:
            caller.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
            answer = caller.getresponse()
            return answer.status, answer.read()
        finally:
            caller.close()

    def add_key(self, scope):
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        self.mount("keys", {"keys.yaml": f"keys:\n  - {{ name: test, sha256: {digest}, scopes: [{scope}] }}\n"})

    def delete(self, path):
        """SIGTERM with a request in flight, which is let go afterwards; nothing is cut."""
        answer = []
        caller = threading.Thread(target=lambda: answer.append(self.get(path, KEY)))
        caller.start()
        assert self.api.arrived.wait(PATIENCE), "the request did not arrive"
        self.process.send_signal(signal.SIGTERM)
        until("the pod is ready no more", lambda: not self.probe("readinessProbe"))
        self.api.release.set()
        caller.join(PATIENCE)
        assert answer == [(200, b"ok")], answer
        assert self.process.wait(self.spec["terminationGracePeriodSeconds"]) == 0, self.said.decode()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
