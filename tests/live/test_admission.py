"""The uploads that `nightsafe run` accepts, and what it serves when a newer version cannot be served."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cloudflare import Cloudflare
from tests.clients.node.tools import NEWER, OLDER
from tests.clients.wire.talk import SCRIPTS, Wire
from tests.clients.wrangler.project import Project
from tests.effort import last_first
from tests.live.tools.running import DATE, HELLO, Deliver, Run, attempt, put, secret, until, upload
from tests.server import ACCOUNT, Safe, Server

KV = {"type": "kv_namespace", "name": "STORE", "namespace_id": "a" * 32}
CALLER = b"export default { fetch: (request, env) => env.INNER.fetch('http://inner/') };"


def test_an_undeliverable_upload_replaces_nothing(live: Run, wire: Wire) -> None:
    """The upload is refused by name, and the script answers as before."""
    upload(wire, "kept", HELLO, secret("TOKEN", "kept"))
    refused = attempt(wire, "kept", HELLO, KV)

    assert (400, [10015]) == refused.refusal
    assert "'STORE' is of kind kv_namespace" in refused.messages[0]
    assert "kept" == live.workers.text("kept")
    assert 404 == live.workers.get("never").status_code
    assert 400 == attempt(wire, "never", HELLO, KV).status
    assert 404 == live.workers.get("never").status_code


def test_the_last_good_version_stays_in_service(safe: Safe) -> None:
    """If accepted, undeliverable versions leave the last good one in service, through new secrets and restarts."""
    with Run(safe, "--accept-undeliverable") as own, Wire.to(own) as wire:
        upload(wire, "worker", HELLO, secret("TOKEN", "good"))
        answer = attempt(wire, "worker", HELLO, KV, keep_bindings=["secret_text"])
        [message] = answer.envelope["messages"]
        assert "'STORE' is of kind kv_namespace" in message["message"]
        assert "good" == own.workers.text("worker")
        put(wire, "worker", "TOKEN", "with the version that is not served")
        assert "good" == own.workers.text("worker")
        until(lambda: "the last deployment that can be served stays in service" in own.stderr.read_text())
    with Run(safe) as own, Wire.to(own) as wire:
        assert "good" == own.workers.text("worker")
        upload(wire, "worker", HELLO, keep_bindings=["secret_text"])
        assert "with the version that is not served" == own.workers.text("worker")


def test_uploads_are_checked_while_a_process_delivers(safe: Safe, tmp_path: Path) -> None:
    """An API alone accepts any upload; while a process delivers, it refuses undeliverable and broken ones."""
    with Server(safe) as server, Wire.to(server) as wire:
        upload(wire, "before", HELLO, KV)
        assert 200 == attempt(wire, "before", b"export default {").status
        with Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
            assert (400, [10015]) == attempt(wire, "before", HELLO, KV).refusal
            assert (400, [10021]) == attempt(wire, "before", b"export default {").refusal
            upload(wire, "before", HELLO, secret("TOKEN", "served"))
            assert "served" == delivery.workers.text("before")


BROKEN: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "syntax": (b"export default {\n fetch( }", {}, "SyntaxError: Unexpected token '}' at worker.js:2:8"),
    "flag": (HELLO, {"compatibility_flags": ["no_such_flag"]}, "no compatibility flag 'no_such_flag'"),
    "contradiction": (HELLO, {"compatibility_flags": ["url_original", "url_standard"]}, "contradict each other"),
    "date": (HELLO, {"compatibility_date": "2999-01-01"}, "in the future"),
    "import": (b"import './nope.js'; " + HELLO, {}, 'No such module "nope.js" imported from worker.js'),
    "newer": (b"import 'x'; " + HELLO, {"compatibility_date": "2026-11-24"}, "Module not found: x"),
    "export": (b"import { nope } from 'cloudflare:workers'; " + HELLO, {}, "an export named 'nope' at worker.js:1"),
    "experimental": (HELLO, {"compatibility_flags": ["unsafe_module"]}, "'unsafe_module' is experimental"),
    "python": (HELLO, {"compatibility_flags": ["python_workers"]}, "'python_workers' is for Python"),
    "classic": (b"return;", {"main_module": None, "body_part": "worker.js"}, "SyntaxError: Illegal return statement"),
    "reserved": (b"export class NightsafeLifecycle {} " + HELLO, {}, "the name is reserved"),
    "handler": (b"let x = 1;", {}, "exports no event handler"),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_an_upload_that_cannot_start_is_refused(live: Run, wire: Wire, problem: str) -> None:
    """The refusal has the reason, and the version before is served on."""
    code, members, words = BROKEN[problem]
    upload(wire, "started", HELLO, secret("TOKEN", "started"))
    answer = attempt(wire, "started", code, **members)

    assert (400, [10021]) == answer.refusal
    assert words in answer.messages[0]
    assert "started" == live.workers.text("started")


def test_the_first_upload_is_checked(own: Run) -> None:
    """The first upload after the start is checked like any other."""
    with Wire.to(own) as wire:
        assert (400, [10021]) == attempt(wire, "first", b"export default {").refusal


def test_a_tail_consumer_gets_a_message(live: Run, wire: Wire) -> None:
    """The upload is kept, with a message that nothing runs the tail, and the script is served."""
    answer = upload(wire, "tailed", HELLO, secret("TOKEN", "served"), tail_consumers=[{"service": "nobody"}])

    [message] = answer.envelope["messages"]
    assert "run tail Workers" in message["message"]
    assert "served" == live.workers.text("tailed")


def test_nightsafe_s_own_entrypoint_cannot_be_bound(live: Run, wire: Wire) -> None:
    """No binding may lead to it, so that no script ends another's isolate."""
    upload(wire, "victim", HELLO, secret("TOKEN", "alive"))
    way = {"type": "service", "name": "WAY", "service": "victim", "entrypoint": "NightsafeLifecycle"}
    thief = b"export default { fetch: (request, env) => env.WAY.retire(true) };"
    refused = attempt(wire, "thief", thief, way)

    assert (400, [10015]) == refused.refusal
    assert "'WAY' names an entrypoint that begins with Nightsafe" in refused.messages[0]
    assert 404 == live.workers.get("thief").status_code
    assert "alive" == live.workers.text("victim")


def test_checked_code_is_not_run(live: Run, wire: Wire) -> None:
    """A loop or a throw at the top level is accepted: it shows when the script is served; no other waits."""
    upload(wire, "neighbour", HELLO, secret("TOKEN", "here"))
    assert 200 == attempt(wire, "thrower", b"throw new Error('top'); export default { fetch() {} };").status
    assert 200 == attempt(wire, "later", b"export default { fetch: () => import('./absent.js') };").status

    assert "here" == live.workers.text("neighbour")
    assert 500 == live.workers.get("thrower").status_code


def test_a_script_without_subdomain_is_hidden_at_once(live: Run, wire: Wire) -> None:
    """From outside it answers 404 with the message of an absent script, and bindings still reach it."""
    upload(wire, "inner", HELLO, secret("TOKEN", "within"))
    upload(wire, "caller", CALLER, {"type": "service", "name": "INNER", "service": "inner"})
    assert ("within", "within") == (live.workers.text("inner"), live.workers.text("caller"))
    at = f"{SCRIPTS}/inner/subdomain"

    for _ in range(3):
        assert 200 == wire.send("POST", at, {"enabled": False}).status
        outside, absent = live.workers.get("inner"), live.workers.get("never-uploaded")
        assert (404, absent.text) == (outside.status_code, outside.text)
        assert "within" == live.workers.text("caller")
        assert 200 == wire.send("POST", at, {"enabled": True}).status
        assert "within" == live.workers.text("inner")


@pytest.mark.parametrize("version", last_first([OLDER, NEWER]))
def test_wrangler_hides_a_script_by_workers_dev(live: Run, wire: Wire, tmp_path: Path, version: str) -> None:
    """`workers_dev = false` counts from the first deployment on, and can be taken back."""
    name = f"inner-{version}".replace(".", "-")
    project = Project(live, wire, tmp_path, version, name)
    project.write("index.js", "export default { fetch: () => new Response('answers') };")
    project.configure(workers_dev=False)
    project.ok("deploy")
    assert 404 == live.workers.get(name).status_code
    project.configure(workers_dev=True)
    project.ok("deploy")
    assert "answers" == live.workers.text(name)


@pytest.mark.parametrize("version", last_first([OLDER, NEWER]))
def test_wrangler_deploys_settings_without_effect(live: Run, wire: Wire, tmp_path: Path, version: str) -> None:
    """Either version of wrangler deploys a script whose settings have no effect."""
    project = Project(live, wire, tmp_path, version, f"idle-{version}".replace(".", "-"))
    project.write("index.js", "export default { fetch: () => new Response('idle'), scheduled() {} };")
    project.configure(
        logpush=True,
        placement={"mode": "smart"},
        observability={"enabled": True},
        triggers={"crons": ["* * * * *"]},
        workers_dev=True,
    )
    project.ok("deploy")

    assert "idle" == live.workers.text(project.worker)


@pytest.mark.thorough
def test_wrangler_prints_a_link_to_the_script(safe: Safe, tmp_path: Path) -> None:
    """The link of either version leads to the script under the operator's `--workers-domain`."""
    options = ("--domain", "workers.example", "--workers-domain", "workers.example")
    with Run(safe, *options) as own, Wire.to(own) as wire:
        for version in (OLDER, NEWER):
            name = f"linked-{version}".replace(".", "-")
            (tmp_path / name).mkdir()
            project = Project(own, wire, tmp_path / name, version, name)
            project.write("index.js", f"export default {{ fetch: () => new Response('{name}') }};")
            [link] = [word for word in project.ok("deploy").everything.split() if word.startswith("https://")]
            parts = urlsplit(link)

            assert (f"{name}.workers.example", "/") == (parts.netloc, parts.path)
            assert name == own.workers.client.get(parts.path, headers={"host": parts.netloc}).text


def test_the_sdk_uploads_settings_without_effect(live: Run) -> None:
    """The upload returns the usual object, and a setting that has an effect takes effect."""
    with Cloudflare(api_token=live.safe.api_token, base_url=live.base_url) as client:
        metadata: Any = {"main_module": "index.js", "logpush": True, "compatibility_date": DATE}
        code = b"export default { fetch: () => new Response('sdk') };"
        files = [("index.js", code, "application/javascript+module")]
        made = client.workers.scripts.update("by-sdk", account_id=ACCOUNT, metadata=metadata, files=files)
        assert made is not None
        assert (True, "sdk") == (made.logpush, live.workers.text("by-sdk"))
        client.workers.scripts.subdomain.create("by-sdk", account_id=ACCOUNT, enabled=False)
        assert 404 == live.workers.get("by-sdk").status_code
        client.workers.scripts.subdomain.create("by-sdk", account_id=ACCOUNT, enabled=True)
        assert "sdk" == live.workers.text("by-sdk")
