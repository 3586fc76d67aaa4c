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
    assert (told["prometheus.io/scrape"], told["prometheus.io/path"]) == ("true", "/metrics"), name
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
    with helm_python.Chart.load(str(CHART)) as chart:
        for values, word in BAD_VALUES:
            try:
                chart.validate_schema(values)
            except helm_python.HelmValuesError as error:
                assert word in str(error), f"{values}: {error}"
            else:
                raise AssertionError(f"the schema takes {values}")


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
