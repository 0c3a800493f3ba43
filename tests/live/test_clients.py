"""The official clients deploy, split traffic, roll back and delete, and Workers serve the result."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare
from tests.clients.node.tools import NEWER
from tests.clients.wire.talk import Wire
from tests.clients.wrangler.project import Project
from tests.live.tools import running
from tests.live.tools.running import Run
from tests.server import ACCOUNT

CODE = """
export default { async fetch(request, env) {
  if (new URL(request.url).pathname === "/sign") {
    const made = await crypto.subtle.sign("HMAC", env.KEY, new TextEncoder().encode("message"));
    return Response.json([...new Uint8Array(made)]);
  }
  return Response.json({ text: env.TOKEN, plain: env.PLAIN, json: env.JSON, tag: env.META.tag });
} };
"""
METADATA = {
    "main_module": "index.js",
    "compatibility_date": "2026-04-01",
    "bindings": [
        {"type": "secret_text", "name": "TOKEN", "text": "from the SDK"},
        {"type": "plain_text", "name": "PLAIN", "text": "plain"},
        {"type": "json", "name": "JSON", "json": {"a": [1]}},
        {"type": "version_metadata", "name": "META"},
        {
            "type": "secret_key",
            "name": "KEY",
            "format": "raw",
            "algorithm": {"name": "HMAC", "hash": "SHA-256"},
            "usages": ["sign"],
            "key_base64": "AAECAwQFBgcICQoLDA0ODw==",
        },
    ],
}


@pytest.fixture
def client(live: Run) -> Iterator[Cloudflare]:
    """Yield a client of the official SDK."""
    with Cloudflare(api_token=live.safe.api_token, base_url=live.base_url) as made:
        yield made


def upload(client: Cloudflare, script: str, **metadata: Any) -> Any:
    """Upload the script above."""
    described: Any = METADATA | metadata
    files = [("index.js", CODE.encode(), "application/javascript+module")]
    return client.workers.scripts.update(script, account_id=ACCOUNT, metadata=described, files=files)


def test_changes_by_the_sdk_take_effect(live: Run, client: Cloudflare) -> None:
    """Every kind of binding arrives; new secrets, rollbacks and deletions take effect at once."""
    upload(client, "sdk", annotations={"workers/tag": "v1"})
    told = live.workers.get("sdk").json()
    assert ("from the SDK", "plain", {"a": [1]}, "v1") == (told["text"], told["plain"], told["json"], told["tag"])
    assert 32 == len(live.workers.get("sdk", "/sign").json())

    scripts: Any = client.workers.scripts
    scripts.secrets.update("sdk", account_id=ACCOUNT, name="TOKEN", text="newer", type="secret_text")
    assert "newer" == live.workers.get("sdk").json()["text"]

    first, second = (version.id for version in reversed(list(scripts.versions.list("sdk", account_id=ACCOUNT))))
    whole: Any = [{"version_id": first, "percentage": 100}]
    scripts.deployments.create("sdk", account_id=ACCOUNT, strategy="percentage", versions=whole, force=True)
    assert "from the SDK" == live.workers.get("sdk").json()["text"]

    split: Any = [{"version_id": first, "percentage": 50}, {"version_id": second, "percentage": 50}]
    scripts.deployments.create("sdk", account_id=ACCOUNT, strategy="percentage", versions=split, force=True)
    assert {"from the SDK", "newer"} == {live.workers.get("sdk").json()["text"] for _ in range(60)}

    scripts.delete("sdk", account_id=ACCOUNT)
    assert 404 == live.workers.get("sdk").status_code


def test_changes_by_wrangler_take_effect(live: Run, wire: Wire, tmp_path: Path) -> None:
    """Wrangler deploys, puts a secret, splits traffic with a version that has another one, rolls back and deletes."""
    project = Project(live, wire, tmp_path, NEWER, "by-wrangler")
    project.write("index.js", 'export default { fetch: (request, env) => new Response(env.TOKEN ?? "none") };')
    project.ok("deploy")
    assert "none" == live.workers.text("by-wrangler")
    project.ok("secret", "put", "TOKEN", stdin="one")
    assert "one" == live.workers.text("by-wrangler")
    project.ok("versions", "secret", "put", "TOKEN", stdin="two")
    assert "one" == live.workers.text("by-wrangler")

    newest, before, *_ = (version["id"] for version in project.versions())
    project.ok("versions", "deploy", f"{newest}@50%", f"{before}@50%", "--yes")
    assert {"one", "two"} == {live.workers.text("by-wrangler") for _ in range(60)}
    sticky = {"cloudflare-workers-version-key": "somebody"}
    assert 1 == len({live.workers.get("by-wrangler", headers=sticky).text for _ in range(30)})
    project.ok("versions", "deploy", f"{newest}@100%", "--yes")
    assert {"two"} == {live.workers.text("by-wrangler") for _ in range(20)}
    project.ok("rollback", before, "--yes", "--message", "back")
    assert {"one"} == {live.workers.text("by-wrangler") for _ in range(20)}

    project.ok("delete", "--force")
    assert 404 == live.workers.get("by-wrangler").status_code


OVERRIDES = "cloudflare-workers-version-overrides"


def test_the_sdk_tries_a_version_without_traffic(live: Run, client: Cloudflare) -> None:
    """A version without traffic is served to a request that names its id, and to no other."""
    upload(client, "tried")
    scripts: Any = client.workers.scripts
    scripts.secrets.update("tried", account_id=ACCOUNT, name="TOKEN", text="newer", type="secret_text")
    old, new = (version.id for version in reversed(list(scripts.versions.list("tried", account_id=ACCOUNT))))
    shares: Any = [{"version_id": old, "percentage": 100}, {"version_id": new, "percentage": 0}]
    scripts.deployments.create("tried", account_id=ACCOUNT, strategy="percentage", versions=shares, force=True)

    assert {"from the SDK"} == {live.workers.get("tried").json()["text"] for _ in range(20)}
    asked = live.workers.get("tried", headers={OVERRIDES: f'other="x", tried="{new}"'}).json()
    assert "newer" == asked["text"]
    whole: Any = [{"version_id": new, "percentage": 100}]
    scripts.deployments.create("tried", account_id=ACCOUNT, strategy="percentage", versions=whole)
    ignored = live.workers.get("tried", headers={OVERRIDES: f'tried="{old}"'}).json()
    assert "newer" == ignored["text"]


@pytest.mark.thorough
def test_wrangler_tries_a_version_without_traffic(live: Run, wire: Wire, tmp_path: Path) -> None:
    """Wrangler's own commands deploy a new secret without traffic, which a request can try by the version's id."""
    project = Project(live, wire, tmp_path, NEWER, "tried-by-wrangler")
    project.write("index.js", "export default { fetch: (request, env) => new Response(env.TOKEN) };")
    project.ok("deploy")
    project.ok("secret", "put", "TOKEN", stdin="one")
    project.ok("versions", "secret", "put", "TOKEN", stdin="two")
    new, old, *_ = (version["id"] for version in project.versions())
    project.ok("versions", "deploy", f"{old}@100%", f"{new}@0%", "--yes")

    assert {"one"} == {live.workers.text("tried-by-wrangler") for _ in range(20)}
    for version, value in ((new, "two"), (old, "one")):
        headers = {OVERRIDES: f'tried-by-wrangler="{version}"'}
        assert value == live.workers.get("tried-by-wrangler", headers=headers).text


def test_props_of_a_service_binding_reach_the_callee(live: Run, client: Cloudflare) -> None:
    """The callee's entrypoint has them as `ctx.props`, and the API shows them as they were uploaded."""
    callee = b"""
      import { WorkerEntrypoint } from "cloudflare:workers";
      export class Named extends WorkerEntrypoint { fetch() { return Response.json(this.ctx.props); } }
      export default { fetch: (request, env, ctx) => Response.json(ctx.props) };"""
    caller = (
        b"export default { fetch: (request, env) => env[new URL(request.url).pathname.slice(1)].fetch(request) };"
    )
    props = {"tenant": "a", "deep": {"list": [1, None]}}
    service = {"type": "service", "service": "with-props", "entrypoint": "Named", "props": props}
    bindings = [{**service, "name": "PROPS"}, {"type": "service", "name": "NONE", "service": "with-props"}]
    metadata = {"main_module": "index.js", "compatibility_date": "2026-04-01"}
    for name, code, bound in (("with-props", callee, []), ("gives-props", caller, bindings)):
        described: Any = {**metadata, "bindings": bound}
        files = [("index.js", code, "application/javascript+module")]
        client.workers.scripts.update(name, account_id=ACCOUNT, metadata=described, files=files)

    assert props == live.workers.get("gives-props", "/PROPS").json()
    assert {} == live.workers.get("gives-props", "/NONE").json()
    settings: Any = client.workers.scripts.script_and_version_settings.get("gives-props", account_id=ACCOUNT)
    shown = [binding.to_dict() for binding in settings.bindings]
    assert {**service, "name": "PROPS"} in shown


def test_an_undeliverable_upload_is_refused_by_name(live: Run, client: Cloudflare) -> None:
    """One refusal names everything that the script needs and cannot have."""
    wanted = [
        {"type": "kv_namespace", "name": "STORE", "namespace_id": "a" * 32},
        {"type": "d1", "name": "DATA", "id": "b" * 32},
    ]
    with pytest.raises(BadRequestError) as refused:
        upload(client, "needs-kv", bindings=wanted)

    found = [
        (error.code, name in (error.message or ""))
        for error, name in zip(refused.value.errors, ("STORE", "DATA"), strict=True)
    ]
    assert [(10015, True), (10015, True)] == found
    assert 404 == live.workers.get("needs-kv").status_code


def test_scripts_cannot_reach_each_other(live: Run, wire: Wire) -> None:
    """A script reaches neither another's globals, nor its environment, nor the dispatcher's endpoints."""
    victim = b"globalThis.shared = 'of victim'; export default { fetch: (r, env) => new Response(env.TOKEN) };"
    thief = (
        b"""
      import { env as own } from "cloudflare:workers";
      export default { async fetch(request, env) {
        const found = [globalThis.shared, env.TOKEN, own.TOKEN, ...Object.keys(env)].map(String);
        for (const url of ["http://cp/loads/1", "http://127.0.0.1:%d/", "http://victim.localhost/"]) {
          try { found.push(await (await fetch(url)).text()); } catch (error) { found.push("cannot"); }
        }
        return Response.json(found);
      } };"""
        % live.workers.port
    )
    running.upload(wire, "victim", victim, running.secret("TOKEN", "planted-value"))
    running.upload(wire, "thief", thief)
    assert "planted-value" == live.workers.text("victim")

    assert ["undefined", "undefined", "undefined", "cannot", "cannot", "cannot"] == live.workers.get("thief").json()
