"""What deploy/ comes to: the manifests as written, and the chart rendered in both shapes; and who checks them."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CHART = DEPLOY / "helm" / "scopegate"
KUBERNETES = "1.37"

# Values that the schema of the chart must refuse, with a word of its complaint.
BAD_VALUES = [
    ({}, "/upstream/url"),
    ({"upstream": {"url": "https://api.example.com/path"}}, "/upstream/url"),
    ({"shape": "side"}, "/shape"),
    ({"shape": "sidecar"}, "/app/image"),
    ({"upstream": {"url": "https://api.example.com"}, "replcas": 3}, "replcas"),
    ({"upstream": {"url": "https://api.example.com"}, "drain": {"delay": "5s"}}, "/drain/delay"),
    ({"upstream": {"urls": ["api.example.com"]}}, "/upstream/urls"),
    ({"upstream": {"url": "https://api.example.com", "urls": ["https://a.example.com"]}}, "/upstream/url"),
    ({"upstream": {"url": "https://api.example.com"}, "workers": "auto"}, "/workers"),
    ({"upstream": {"url": "https://api.example.com"}, "connections": 0}, "/connections"),
    ({"upstream": {"url": "https://api.example.com"}, "extraVolumeMounts": [{"name": "tls"}]}, "/extraVolumeMounts"),
]


def texts():
    """Each set of manifests: its name and its text."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield f"kubernetes/{path.name}", path.read_text()
    with helm_python.Chart.load(str(CHART)) as chart:
        for path in sorted((CHART / "ci").glob("*.yaml")):
            rendered = chart.render(yaml.safe_load(path.read_text()), name="demo", namespace="prod")
            files = [text for name, text in sorted(rendered.items()) if name.endswith(".yaml")]
            yield f"helm with {path.name}", "\n---\n".join(files)


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def check_schemas(name, text):
    for document in documents(text):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        check_confined(name, document)
        check_scraped(name, document)


def check_scraped(name, document):
    """Whoever goes by the annotations finds the figures."""
    if document["kind"] != "Deployment":
        return
    pod = document["spec"]["template"]
    told = pod["metadata"]["annotations"]
    # One of the chart's examples says that it is not to be scraped.
    assert told["prometheus.io/scrape"] == ("false" if "several" in name else "true"), name
    assert told["prometheus.io/path"] == "/metrics", name
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    ports = [port for container in containers if container["name"] == "scopegate" for port in container["ports"]]
    assert told["prometheus.io/port"] == str(next(port["containerPort"] for port in ports if port["name"] == "metrics")), name


def check_confined(name, document):
    """The Pod Security Standard `restricted`."""
    if document["kind"] != "Deployment":
        return
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True, name
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
    assert all(set(volume) <= {"name", "configMap", "secret", "emptyDir"} for volume in pod["volumes"]), name
    for container in pod.get("initContainers", []) + pod["containers"]:
        confined = container["securityContext"]
        assert confined["allowPrivilegeEscalation"] is False, name
        assert confined["readOnlyRootFilesystem"] is True, name
        assert confined["capabilities"] == {"drop": ["ALL"]}, name


def check_chart():
    for path in sorted((CHART / "ci").glob("*.yaml")):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "scopegate"
            shutil.copytree(CHART, copy)
            # The linter takes the chart's own values; a user's are laid over them.
            values = yaml.safe_load((copy / "values.yaml").read_text())
            (copy / "values.yaml").write_text(yaml.safe_dump(merged(values, yaml.safe_load(path.read_text()))))
            errors = helm_python.lint(str(copy))["errors"]
            assert not errors, f"{path.name}: {errors}"
    check_additions()
    check_connections()
    check_database()
    with helm_python.Chart.load(str(CHART)) as chart:
        for values, word in BAD_VALUES:
            try:
                chart.validate_schema(values)
            except helm_python.HelmValuesError as error:
                assert word in str(error), f"{values}: {error}"
            else:
                raise AssertionError(f"the schema takes {values}")


def check_additions():
    """What the examples add to the containers is there, beside what the chart writes."""
    rendered = dict(texts())
    spec = pod_of(rendered["helm with sidecar-values.yaml"])
    app = next(container for container in spec["containers"] if container["name"] == "app")
    assert app["args"] and app["envFrom"] and app["readinessProbe"] and app["lifecycle"]["preStop"], app
    assert app["securityContext"] == {"runAsUser": 1000, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert spec["securityContext"]["fsGroup"] == 1000 and spec["securityContext"]["runAsUser"] == 65532, spec["securityContext"]
    assert {"name": "scratch", "emptyDir": {}} in spec["volumes"], spec["volumes"]
    text = rendered["helm with several-values.yaml"]
    config = next(yaml.safe_load(one["data"]["scopegate.yaml"]) for one in documents(text) if "scopegate.yaml" in one.get("data", {}))
    assert len(config["upstream"]["urls"]) == 2 and "url" not in config["upstream"] and config["workers"] == 4, config
    gateway = pod_of(text)["containers"][0]
    assert gateway["env"] and any(mount["name"] == "more" for mount in gateway["volumeMounts"]), gateway
    # Whoever wrote `urls` into `config`, before there was a value for it.
    with helm_python.Chart.load(str(CHART)) as chart:
        values = {"upstream": {"url": "https://a.example.com"}, "config": {"upstream": {"urls": ["https://a.example.com", "https://b.example.com"]}}}
        text = "\n---\n".join(chart.render(values, name="demo", namespace="prod").values())
        assert "\n      url:" not in text and "https://b.example.com" in text, text


def check_connections():
    """Manifests, chart and the text about sizing agree on what the limit of memory has room for."""
    told = (DEPLOY / "README.md").read_text()
    assert "`limits.connections: 2000`" in told and "128 MiB" in told
    for name, text in texts():
        config = next(yaml.safe_load(one["data"]["scopegate.yaml"]) for one in documents(text) if "scopegate.yaml" in one.get("data", {}))
        assert config["limits"]["connections"] == 2000, name
    with helm_python.Chart.load(str(CHART)) as chart:
        values = {"upstream": {"url": "https://a.example.com"}, "connections": 5000}
        assert "connections: 5000" in "".join(chart.render(values, name="demo", namespace="prod").values())


def check_database():
    """With keys in a database there is no key file, and no Secret of one; and the pod reaches the database."""
    store = "postgres://gateway:${file:../database/password}@db.example/keys"
    values = {"upstream": {"url": "https://a.example.com"}, "config": {"keys": {"store": store}}, "networkPolicy": True, "egressPorts": [443, 5432]}
    with helm_python.Chart.load(str(CHART)) as chart:
        rendered = chart.render(values, name="demo", namespace="prod")
    assert not any("has no keys yet" in text for text in rendered.values()), rendered
    found = documents("\n---\n".join(text for name, text in rendered.items() if name.endswith(".yaml")))
    assert not any(one["kind"] == "Secret" for one in found), found
    config = next(yaml.safe_load(one["data"]["scopegate.yaml"]) for one in found if "scopegate.yaml" in one.get("data", {}))
    assert config["keys"]["store"] == store, config
    pod = next(one for one in found if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert {volume["name"] for volume in pod["volumes"]} == {"config", "policy"}, pod["volumes"]
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {"config", "policy"}, pod
    policy = next(one for one in found if one["kind"] == "NetworkPolicy")
    assert [rule["port"] for rule in policy["spec"]["egress"][0]["ports"]] == [443, 5432, 53, 53], policy


def pod_of(text):
    return next(one for one in documents(text) if one["kind"] == "Deployment")["spec"]["template"]["spec"]


def merged(below, above):
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def check_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, DEPLOY / "Dockerfile"], check=True)


def check_units():
    """`systemd-analyze verify`, with a program that is there in the place of the gateway."""
    if not shutil.which("systemd-analyze"):
        return "skipped: systemd-analyze is not here"
    with tempfile.TemporaryDirectory() as folder:
        for path in (DEPLOY / "systemd").glob("scopegate.s*"):
            text = path.read_text().replace("/usr/local/bin/scopegate", "/bin/true")
            (Path(folder) / path.name).write_text(text)
        units = [str(path) for path in Path(folder).glob("scopegate.so*")] + [f"{folder}/scopegate.service"]
        told = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
        assert told.returncode == 0 and not told.stderr, told.stderr
    return None
