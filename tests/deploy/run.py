"""What people copy from deploy/ is right, and does what it says: run.py BINARY. One line a check, exit 1 at a failure."""

import sys
import tempfile
import traceback

import manifests
import pod


def play(binary, name, text):
    """A pod from its first start to its end: probes, keys, another policy, SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = pod.Pod(binary, text, folder)
        gateway.check()
        volume = "policy" if has(gateway, "policy") else "config"
        files = gateway.content(volume)
        base, path, scope = ("/api", "/api/lists", "lists:read") if "base: /api" in files["policy.yaml"] else ("", "/orders", "orders:read")
        gateway.start()
        try:
            assert gateway.get(path)[0] == 401, "without a key"
            assert gateway.get(path, pod.KEY)[0] == 401, "before the key is there"
            gateway.add_key(scope)
            pod.until("the key of the Secret is in force", lambda: gateway.get(path, pod.KEY)[0] == 200)
            check_credential(gateway)
            assert gateway.get(f"{base}/later/1", pod.KEY)[0] == 403, "a route that is not there yet"
            later = files["policy.yaml"].replace("routes:\n", f"routes:\n  GET /later/{{id}}: {scope}\n")
            gateway.mount(volume, {**files, "policy.yaml": later})
            pod.until("the new policy is in force", lambda: gateway.get(f"{base}/later/1", pod.KEY)[0] == 200)
            gateway.delete(f"{base}/later/slow")
        finally:
            gateway.kill()


def has(gateway, volume):
    return any(mount["name"] == volume for mount in gateway.container["volumeMounts"])


def check_credential(gateway):
    """The upstream never sees the caller's key; where the gateway has a credential, it sees that."""
    _, headers = gateway.api.requests[-1]
    if has(gateway, "more"):
        # Of a variable, and of a volume of the user's own.
        assert headers.get("X-Api-Key") == "an-example-more", headers
    sent = headers.get("Authorization")
    if has(gateway, "credential"):
        assert sent and sent.startswith("Klaviyo-API-Key ") and pod.KEY not in sent, sent
    else:
        assert sent is None, sent


def main(binary):
    checks = [("the Dockerfile", manifests.check_dockerfile), ("the chart", manifests.check_chart), ("the units", manifests.check_units)]
    for name, text in manifests.texts():
        checks.append((f"the schemas of {name}", lambda name=name, text=text: manifests.check_schemas(name, text)))
        checks.append((f"a pod of {name}", lambda name=name, text=text: play(binary, name, text)))
    failed = 0
    for name, check in checks:
        try:
            print(f"ok      {name}" if (said := check()) is None else f"{name}: {said}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
