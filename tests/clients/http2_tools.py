"""Programs that speak HTTP/2, and that nobody here wrote: curl, nghttp, h2load. Each over cleartext and over TLS."""

import json
import os
import shutil
import subprocess

NGHTTP2 = "it is not installed (on Debian: apt-get install nghttp2-client)"


def run(*command):
    said = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert said.returncode == 0, (command, said)
    return said.stdout


def curl(listen, secure, certificate):
    if not shutil.which("curl") or "HTTP2" not in run("curl", "--version"):
        print("SKIPPED curl: it is not installed, or was built without HTTP/2", flush=True)
        return
    report = ["-sS", "-w", "%{http_version} %{http_code}", "-o", os.devnull]
    assert run("curl", *report, "--http2-prior-knowledge", f"http://{listen}/open/a") == "2 200"
    # What ALPN agrees on is told by the version: by prior knowledge curl would not ask.
    for wanted, version in (("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")):
        assert run("curl", *report, wanted, "--cacert", certificate, f"https://{secure}/open/a") == f"{version} 200", wanted
    print("ok    curl: HTTP/2 by prior knowledge, over TLS by ALPN, and HTTP/1.1 over TLS where it asks for no other", flush=True)


def nghttp(listen, secure):
    if not shutil.which("nghttp"):
        print(f"SKIPPED nghttp: {NGHTTP2}", flush=True)
        return
    for address in (f"http://{listen}", f"https://{secure}"):
        said = run("nghttp", f"{address}/open/a?x=1")
        assert json.loads(said)["line"] == "GET /open/a?x=1 HTTP/1.1", said
    print("ok    nghttp: over cleartext and over TLS", flush=True)


def h2load(listen, secure):
    if not shutil.which("h2load"):
        print(f"SKIPPED h2load: {NGHTTP2}", flush=True)
        return
    for address, protocol in ((f"http://{listen}", "h2c"), (f"https://{secure}", "h2")):
        said = run("h2load", "-n", "3000", "-c", "4", "-m", "32", f"{address}/open/a")
        assert f"Application protocol: {protocol}\n" in said and "3000 succeeded, 0 failed" in said, said
    print("ok    h2load: 3000 requests on 4 connections, over cleartext and over TLS", flush=True)
