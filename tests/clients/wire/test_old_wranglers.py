"""Requests of old wranglers, recorded byte for byte: none of them loses a secret."""

import json
from typing import Any

import pytest
from tests.clients.stored_values import opened
from tests.clients.wire.talk import SCRIPTS, Answer, Wire
from tests.server import ACCOUNT, Server

KEY: dict[str, Any] = {
    "name": "K", "type": "secret_key", "format": "raw", "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
}  # fmt: skip
MATERIAL = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
UPLOAD = "?include_subdomain_availability=true&excludeScript=true"
CODE = 'var t_default = { fetch() {\n  return new Response("hello");\n} };\nexport {\n  t_default as default\n};\n'
BY_SCRIPT = f"/client/v4/accounts/{ACCOUNT}/workers/deployments/by-script"


def form(boundary: str, *parts: str) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a body as undici writes it, and its Content-Type."""
    whole = "".join(f"------{boundary}\r\n{part}\r\n" for part in parts) + f"------{boundary}--"
    return whole.encode(), [("Content-Type", f"multipart/form-data; boundary=----{boundary}")]


def upload(wire: Wire, method: str, path: str, metadata: str) -> Answer:
    """Send an upload as recorded: the metadata has no Content-Type, and the last line has no line end."""
    body, headers = form(
        "formdata-undici-039178865861",
        f'Content-Disposition: form-data; name="metadata"\r\n\r\n{metadata}',
        'Content-Disposition: form-data; name="index.js"; filename="index.js"\r\n'
        f"Content-Type: application/javascript+module\r\n\r\n{CODE}",
    )
    return wire.ask(method, path, body, headers)


@pytest.fixture
def kept_script(wire: Wire, script: str) -> str:
    """Return a script with a variable, a secret text `S` and a secret key `K`."""
    assert wire.upload(script, {"type": "plain_text", "name": "V", "text": "kept"}).status == 200
    assert wire.put(script, "S", "hush").status == 200
    assert wire.send("PUT", f"{SCRIPTS}/{script}/secrets", {**KEY, "key_base64": MATERIAL}).status == 200
    return script


def bindings(wire: Wire, script: str) -> list[str]:
    """Return the names of the newest version's bindings."""
    return [binding["name"] for binding in wire.ask("GET", f"{SCRIPTS}/{script}/bindings").result]


def test_deploy_with_keep_vars_of_3_34_keeps_secrets(server: Server, wire: Wire, kept_script: str) -> None:
    """`wrangler deploy --keep-vars`, which names only variables, keeps every secret with its value."""
    metadata = (
        '{"main_module":"index.js","bindings":[],"compatibility_date":"2024-01-01","compatibility_flags":[],'
        '"keep_bindings":["plain_text","json"]}'
    )
    assert upload(wire, "PUT", f"{SCRIPTS}/{kept_script}{UPLOAD}", metadata).status == 200

    assert ["K", "S", "V"] == bindings(wire, kept_script)
    assert {"S": "hush"} == opened(server.safe, kept_script)


def test_versions_secret_of_3_90_keeps_other_secrets(server: Server, wire: Wire, kept_script: str) -> None:
    """`versions secret put NEW` sends the key as shown; `versions secret delete NEW` omits the deleted secret."""
    shown = json.dumps(KEY, separators=(",", ":"))
    made = (
        '{"main_module":"index.js","bindings":[%s,{"type":"%s","name":"%s"%s}],"compatibility_date":"2024-01-01",'
        '"compatibility_flags":[],"keep_bindings":%s,"logpush":false,"tail_consumers":[],"annotations":'
        '{"workers/message":"Updated secret \\"NEW\\""},"keep_assets":true}'
    )
    path = f"{SCRIPTS}/{kept_script}/versions{UPLOAD}"

    put = made % (shown, "secret_text", "NEW", ',"text":"hush"', '["secret_key","secret_text"]')
    assert upload(wire, "POST", path, put).status == 200
    assert ["K", "NEW", "S"] == bindings(wire, kept_script)
    assert upload(wire, "POST", path, made % (shown, "inherit", "S", "", '["secret_key"]')).status == 200
    assert ["K", "S"] == bindings(wire, kept_script)
    assert {"S": "hush"} == opened(server.safe, kept_script)


def test_deployments_and_rollback_of_3_34_work(wire: Wire, kept_script: str) -> None:
    """`deployments list`, `deployments view` and `rollback` use the script's tag and the path of an upload."""
    tag = wire.ask("GET", f"/client/v4/accounts/{ACCOUNT}/workers/services/{kept_script}").result
    at = f"{BY_SCRIPT}/{tag['default_environment']['script']['tag']}"
    upload(wire, "PUT", f"{SCRIPTS}/{kept_script}{UPLOAD}", '{"main_module":"index.js","bindings":[]}')

    items = wire.ask("GET", f"{at}?order=asc").result["items"]
    viewed = wire.ask("GET", f"{at}/detail/{items[-1]['id']}").result
    before = items[-2]["id"]
    body, headers = form("formdata-undici-080636064701", 'Content-Disposition: form-data; name="message"\r\n\r\nback')
    answer = wire.ask("PUT", f"{SCRIPTS}/{kept_script}?rollback_to={before}", body, headers)

    assert ["K", "S"] == [binding["name"] for binding in viewed["resources"]["bindings"]]
    now = wire.ask("GET", f"{at}?order=asc").result["items"][-1]
    assert answer.result["deployment_id"] == now["id"].replace("-", "")
    assert ("back", "rollback") == (
        now["annotations"]["workers/message"],
        now["annotations"]["workers/triggered_by"],
    )
    served = wire.ask("GET", f"{SCRIPTS}/{kept_script}/deployments").result["deployments"][0]["versions"]
    assert [before] == [version["version_id"] for version in served]


def test_a_base_url_with_a_trailing_slash_works(wire: Wire, kept_script: str) -> None:
    """Such a base URL makes paths with two slashes after the version, which are accepted."""
    path = f"{SCRIPTS}/{kept_script}/secrets/S".replace("/client/v4/", "/client/v4//")

    assert {"name": "S", "type": "secret_text"} == wire.ask("GET", path).result
