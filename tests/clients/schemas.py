"""What `scopegate schema` prints, held against a validator and a YAML reader that nobody here wrote.

    schemas.py SCOPEGATE    the binary; the Python that runs this has jsonschema and ruamel.yaml installed

Each schema must be valid under the draft that it names and take every file of its kind in config/. Then a table of documents:
the validator and the program must agree, or the document stands among those of which the schema knowingly says less.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from jsonschema.validators import validator_for
from ruamel.yaml import YAML

CONFIG = Path(__file__).resolve().parent.parent.parent / "config"
DIGEST = "0" * 63 + "1"
UPSTREAM = "upstream: { url: http://127.0.0.1:3000 }\n"
POLICY = "version: 1\nroutes:\n  GET /a: a:read\n"

# Documents that both take, and documents that neither does.
GOOD = {
    "config": [
        "policy: policy.yaml",
        "policy: policy.yaml\nlisten: [127.0.0.1:1, { address: unix:/run/a.sock }]",
        "policy: policy.yaml\nworkers: auto\nmode: shadow\nerrors: json-api\nhosts: [a.example]",
        "policy: policy.yaml\nworkers: 2\ntrusted_proxies: [10.0.0.0/8]\nlimits: { body_bytes: none, headers: 64 }",
        "policy: policy.yaml\nkeys: { max_stale: none, snapshot: keys.snapshot }",
        "policy: policy.yaml\nkeys: { max_stale: 0s, snapshot: none }",
        "policy: policy.yaml\nkeys: { store: 'file:keys.yaml', accept: [bearer, { header: X-Key }, { cookie: k }, basic] }",
        "policy: policy.yaml\ncors: { origins: ['https://app.example'], max_age: 1h }",
        "policy: policy.yaml\nlog: { level: debug, format: json, access: false, output: stderr }\ndrain: { delay: 0s }",
        "policy: { version: 1, routes: { GET /a: a:read } }",
    ],
    "policy": [
        "version: 1\nroutes: { GET /a: a:read }",
        "version: '1'\nroutes: { GET /a: [a, b] }",
        "version: 1\nbase: /api\npaths: { case: insensitive }\nmethod_override: drop\nroutes: { 'ANY /{*rest}': { auth: deny } }",
        "version: 1\nscopes: { a: A, b: { implies: a, access: read } }\nroutes: { GET /a: { any_of: [a, [a, b]] } }",
        "version: 1\nparameters: { include: { list: comma, nested: dot, members: { x: a, y: allow, z: [a, b] } } }\n"
        "routes: { GET /a: { scopes: a, query: { include: [x, y] } }, GET /b: { auth: key, query: { include: { q: deny } } } }",
        "version: 1\nbind: { account: account }\nroutes: { 'GET /a/{account}': a, GET /me: { auth: key, unbound: [account] } }",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET /a, scopes: [], expect: deny, missing: [a] }]",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET /a, key: none, expect: deny, code: missing_key }]",
        "version: 1\nroutes: { GET /a: no, GET /b: null_, GET /c: 1e3x }",
        "version: 1\nroutes: { GET /a: { scopes: a, timeouts: { connect: 250ms, response: 5m, request: none } } }",
    ],
    "keys": [
        "keys: []",
        "accounts: [{ id: acme, name: Acme }, { id: shop, parent: acme, credential: sms, disabled: true }]\nkeys: []",
        "keys: [{ name: a, kind: public, account: acme, key: Ab12Cd }]",
        f"keys: [{{ name: a, scopes: [], sha256: '{DIGEST}' }}]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', disabled: true, note: x, id: key_a }}]",
        f"keys: [{{ name: a, grant: read-only, sha256: '{DIGEST}', expires: '2099-01-31', allow_from: [10.0.0.0/8] }}]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', account: acme, attrs: {{ team: [red, blue], owner: ann }} }}]",
    ],
}
BAD = {
    "config": [
        "policy: policy.yaml\nmode: enforced",
        "policy: policy.yaml\nmode: null",
        "policy: policy.yaml\nlisten: []",
        "policy: policy.yaml\nlisten: { tls: false }",
        "policy: policy.yaml\nlisen: 127.0.0.1:1",
        "policy: policy.yaml\nworkers: 0",
        "policy: policy.yaml\nworkers: some",
        "policy: policy.yaml\nkeys: { accept: [] }",
        "policy: policy.yaml\nkeys: { max_stale: soon }",
        "policy: policy.yaml\nkeys: { snapshot: '' }",
        "policy: policy.yaml\nkeys: { snapshot: copies/ }",
        "policy: policy.yaml\nkeys: { accept: bearer }",
        "policy: policy.yaml\nkeys: { accept: [token] }",
        "policy: policy.yaml\nlog: { level: loud }",
        "policy: policy.yaml\nlog: { access: sometimes }",
        "policy: policy.yaml\nlimits: { idle: 5 }",
        "policy: policy.yaml\nlimits: { headers: 257 }",
        "policy: policy.yaml\nlimits: { headers: many }",
        "policy: policy.yaml\ncors: {}",
        "policy: policy.yaml\ncors: { origins: [] }",
        "policy: [policy.yaml]",
    ],
    "policy": [
        "",
        "[]",
        "routes: { GET /a: a }",
        "version: 2\nroutes: { GET /a: a }",
        "version: 1",
        "version: 1\nroutes: {}",
        "version: 1\nroutes: [GET /a]",
        "version: 1\nroutes: { /a: a }",
        "version: 1\nroutes: { GET a: a }",
        "version: 1\nroutes: { GET /a: null }",
        "version: 1\nroutes: { GET /a: [] }",
        "version: 1\nroutes: { GET /a: {} }",
        "version: 1\nroutes: { GET /a: { any_of: [] } }",
        "version: 1\nroutes: { GET /a: { any_of: [[]] } }",
        "version: 1\nroutes: { GET /a: { scopes: a, timeouts: { response: 0s } } }",
        "version: 1\nroutes: { GET /a: { scopes: a, timeouts: { idle: 5s } } }",
        "version: 1\nroutes: { GET /a: { auth: everybody } }",
        "version: 1\nroutes: { TRACE /a: a }",
        "version: 1\nroutes: { GET /a//b: a }",
        "version: 1\nroutes: { GET /a: { auth: key, scopes: a } }",
        "version: 1\nroutes: { GET /a: { credential: x } }",
        "version: 1\nroutes: { GET /a: { scopes: a, upgrades: x } }",
        "version: 1\nbase: /api/\nroutes: { GET /a: a }",
        "version: 1\nbase: api\nroutes: { GET /a: a }",
        "version: 1\nscopes: {}\nroutes: { GET /a: a }",
        "version: 1\nparameters: { include: { list: tabs } }\nroutes: { GET /a: a }",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET, scopes: [], expect: deny }]",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET /a, expect: deny }]",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET /a, scopes: [] }]",
        "version: 1\nroutes: { GET /a: a }\ntests: [{ request: GET /a, grant: all, expect: deny }]",
    ],
    "keys": [
        "",
        "accounts: [{ name: Acme }]\nkeys: []",
        "keys: [{ name: a, kind: public, key: Ab12Cd }]",
        "keys: [{ name: a, kind: public, account: acme, key: Ab12Cd, grant: full }]",
        "keys: [{ name: a, grant: full, key: Ab12Cd }]",
        "key: []",
        "keys: a",
        "keys: [a]",
        f"keys: [{{ scopes: [], sha256: '{DIGEST}' }}]",
        "keys: [{ name: a, scopes: [] }]",
        f"keys: [{{ name: a, sha256: '{DIGEST}' }}]",
        f"keys: [{{ name: a, scopes: [], grant: full, sha256: '{DIGEST}' }}]",
        f"keys: [{{ name: a, grant: all, sha256: '{DIGEST}' }}]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', attrs: {{ account: acme }} }}]",
        "keys: [{ name: a, grant: full, sha256: abc }]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', disabled: sometimes }}]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', secret: x }}]",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', allow_from: [] }}]",
    ],
}
# Documents that the schema takes and the program refuses, each with the reason why a schema cannot or should not say it.
LOOSER = {
    "config": {
        "policy: policy.yaml\nkeys: { store: 'sqlite:a.db', snapshot: a.db }": "two fields are compared",
        "policy: policy.yaml\nlisten: nowhere": "an address is read by code, not by a pattern",
        "policy: policy.yaml\nlisten: [127.0.0.1:1, 127.0.0.1:1]": "two ways to write one address are no two addresses",
        "policy: policy.yaml\nlisten: 127.0.0.1:3000": "two addresses are compared",
        "policy: policy.yaml\nlimits: { header_bytes: 4KiB, target_bytes: 8KiB }": "two fields are compared",
        "policy: policy.yaml\ntrusted_proxies: [10.0.0.1/8]": "bits behind a prefix are counted",
        "policy: none.yaml": "files beside it are not seen",
        "policy: { version: 1, routes: { GET /a: [] } }": "a policy has a schema of its own",
        "{}": "flags or variables may give what is missing",
    },
    "policy": {
        "version: 1\nroutes: { 'GET /a/{x}': a, 'GET /a/{y}': b }": "names are compared",
        "version: 1\nscopes: { a: A }\nroutes: { GET /a: b }": "names are looked up",
        "version: 1\nroutes: { GET /a: { scopes: a, query: { include: x } } }": "names are looked up",
        "version: 1\nbind: { account: account }\nroutes: { GET /a: a }": "names are looked up",
        "version: 1\nroutes: { GET /a: { scopes: a, timeouts: { request: 9999d } } }": "ten years are counted",
    },
    "keys": {
        f"keys: [{{ name: a, grant: full, hmac_sha256: '{DIGEST}' }}]": "whether there is a pepper stands in another file",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}' }}, {{ name: b, grant: full, sha256: '{DIGEST}' }}]": "records are compared",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', expires: soon }}]": "a date is read by code",
        f"accounts: [{{ id: a }}]\nkeys: [{{ name: a, grant: full, account: b, sha256: '{DIGEST}' }}]": "names are looked up",
        "accounts: [{ id: a, parent: b }]\nkeys: []": "names are looked up",
        f"keys: [{{ name: a, grant: full, sha256: '{DIGEST}', allow_from: [lan] }}]": "a network is read by code",
    },
}


def read(text):
    """A document as YAML 1.2 reads it, as JSON has it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    return json.loads(json.dumps(yaml.load(StringIO(text)), default=str))


class Program:
    """The binary, and a folder of its own for every document."""

    COMMANDS = {
        "config": ("scopegate.yaml", ["check"]),
        "policy": ("policy.yaml", ["check", "--policy", "policy.yaml"]),
        "keys": ("keys.yaml", ["keys", "list", "--store", "file:keys.yaml"]),
    }

    def __init__(self, binary):
        self.binary = binary

    def run(self, arguments, folder):
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        return subprocess.run(
            [self.binary, *arguments], cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True
        )

    def schema(self, kind):
        with tempfile.TemporaryDirectory() as folder:
            return json.loads(self.run(["schema", kind], folder).stdout)

    def takes(self, kind, text):
        """Whether the program takes the document, and what it said."""
        name, arguments = self.COMMANDS[kind]
        with tempfile.TemporaryDirectory() as folder:
            files = {"scopegate.yaml": UPSTREAM + "policy: policy.yaml\n", "policy.yaml": POLICY}
            for file, content in (files | {name: text}).items():
                (Path(folder) / file).write_text(content)
            done = self.run(arguments, folder)
            # 3: a test of the policy failed, which says nothing of its form.
            return done.returncode in (0, 3), done.stderr


def shipped():
    """Every file of config/, and of which kind it is."""
    for path in sorted(CONFIG.glob("*.yaml")):
        text = path.read_text()
        yield path.name, "policy" if re.search("^routes:", text, re.M) else "config", text


def document(kind, text):
    """The whole document of a row: a configuration has an upstream as well."""
    return UPSTREAM + text if kind == "config" and text != "{}" else text


def main(binary):
    program = Program(binary)
    validators, wrong, rows = {}, [], 0
    for kind in Program.COMMANDS:
        schema = program.schema(kind)
        validator = validator_for(schema, default=None)
        assert validator is not None, f"no validator knows the draft {schema.get('$schema')}"
        validator.check_schema(schema)
        validators[kind] = validator(schema)
        print(f"ok    the schema {kind} is valid under {schema['$schema']}")
    for name, kind, text in shipped():
        faults = [f"{fault.json_path}: {fault.message}" for fault in validators[kind].iter_errors(read(text))]
        wrong += [f"config/{name} is not valid under the schema {kind}: {fault}" for fault in faults]
        print(f"{'no' if faults else 'ok'}    config/{name} under the schema {kind}")
    for table, valid, taken in ((GOOD, True, True), (BAD, False, False), (LOOSER, True, False)):
        for kind, documents in table.items():
            for row in documents:
                text = document(kind, row)
                rows += 1
                faults = [f"{fault.json_path}: {fault.message}" for fault in validators[kind].iter_errors(read(text))]
                if (not faults) != valid:
                    wrong.append(f"{kind}: the schema says {faults or 'nothing'} of\n{text}")
                takes, said = program.takes(kind, text)
                if takes != taken:
                    wrong.append(f"{kind}: the program {'takes' if takes else 'refuses'}\n{text}\n{said}")
    if wrong:
        raise SystemExit("\n\n".join(wrong))
    print(f"ok    {rows} documents: the schemas and the program agree, or the reason why not is written down")


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
