"""Admission with delivery: undeliverable scripts are refused unless the operator accepts them."""

import asyncio
import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.delivery.test_bundles import bundle_of
from tests.unit.api.tools.driver import ACCOUNT, MODULE, SCRIPTS, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import add, items, metadata

from nightsafe.bundle.runtime_flags import NEWEST_DATE
from nightsafe.services.delivery.admission import DeliveryOptions

KV = {"type": "kv_namespace", "name": "STORE", "namespace_id": "a" * 32}
SERVICE = {"type": "service", "name": "OTHER", "service": "other"}
PYTHON = File("main.py", b"def on_fetch(): pass", "text/x-python")
BAD = {"main_module": "worker.js", "bindings": [KV]}

Change = Callable[[Api], Answer]


def settings(api: Api, body: object) -> Answer:
    """PATCH the settings of the script."""
    part = File("settings", json.dumps(body).encode(), "application/json", as_file=False)
    return api.send("PATCH", f"{script_at('worker')}/settings", form(part), [form_type()])


def content(api: Api, file: File) -> Answer:
    """PUT content."""
    body = form(metadata({"main_module": file.name}), file)
    return api.send("PUT", f"{script_at('worker')}/content", body, [form_type()])


def beta(api: Api, query: str) -> Answer:
    """POST a version to the newer resource `workers/workers`."""
    module = {
        "name": "worker.js",
        "content_type": MODULE,
        "content_base64": base64.b64encode(b"export default {}").decode(),
    }
    at = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker/versions{query}"
    return api.json("POST", at, BAD | {"modules": [module]})


CHANGES: dict[str, Change] = {
    "upload": lambda api: api.upload("worker", BAD),
    "environment": lambda api: api.send(
        "PUT",
        f"/client/v4/accounts/{ACCOUNT}/workers/services/worker/environments/production",
        form(metadata(BAD), File("worker.js")),
        [form_type()],
    ),
    "version": lambda api: add(api, "worker", {"bindings": [KV]}),
    "beta": lambda api: beta(api, ""),
    "beta, deployed": lambda api: beta(api, "?deploy=true"),
    "settings": lambda api: settings(api, {"bindings": [KV]}),
    "flags": lambda api: settings(api, {"compatibility_flags": ["no_such_flag"]}),
    "content": lambda api: content(api, PYTHON),
}


@pytest.fixture
def delivered(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with delivery and one script."""
    with Api(tmp_path, delivered=DeliveryOptions(always=True)) as api:
        assert api.upload("worker").status == 200
        yield api


@pytest.fixture
def accepting(tmp_path: Path) -> Iterator[Api]:
    """Yield an API with delivery that accepts undeliverable scripts, with one script."""
    with Api(tmp_path, delivered=DeliveryOptions(always=True, accept=True)) as api:
        assert api.upload("worker").status == 200
        yield api


@pytest.mark.parametrize("change", CHANGES)
def test_an_undeliverable_change_is_refused(delivered: Api, change: str) -> None:
    """Every kind of change is refused by name if it cannot be delivered; no version is made."""
    answer = CHANGES[change](delivered)

    assert 400 == answer.status
    assert answer.codes == [10021 if change == "flags" else 10015]
    named = {"flags": "no_such_flag", "content": "main.py"}.get(change, "STORE")
    assert named in answer.messages[0]
    assert change == "flags" or "--accept-undeliverable" in answer.messages[0]
    assert 1 == len(items(delivered, "worker"))
    assert () == bundle_of(delivered, "worker").versions[0].bindings


@pytest.mark.parametrize("change", CHANGES)
def test_an_undeliverable_change_is_accepted_on_request(accepting: Api, change: str) -> None:
    """If the operator accepts it, the change gets a notice, and the last deliverable version is still delivered."""
    good = bundle_of(accepting, "worker").versions
    answer = CHANGES[change](accepting)
    bundle = bundle_of(accepting, "worker")

    assert [10015] == [code for code, _ in answer.notices]
    assert "the last version that can be served" in answer.envelope["messages"][0]["message"]
    assert 2 == len(items(accepting, "worker"))
    assert good == bundle.versions
    assert bool(bundle.behind) is (change not in {"version", "beta"})


@pytest.mark.parametrize("change", CHANGES)
def test_an_undeliverable_change_is_accepted_without_delivery(own_api: Api, change: str) -> None:
    """An API without delivery accepts every change."""
    assert own_api.upload("worker").status == 200

    assert 200 == CHANGES[change](own_api).status
    assert 2 == len(items(own_api, "worker"))


def test_a_deployment_of_an_undeliverable_version_is_refused(accepting: Api) -> None:
    """Deploying an undeliverable version is refused like its upload, and a rollback to a good one is not."""
    assert accepting.upload("worker", BAD).status == 200
    bad, good = (version["id"] for version in items(accepting, "worker"))

    def deploy(version: str) -> Answer:
        """Deploy one version."""
        plan = {"strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}]}
        return accepting.json("POST", f"{script_at('worker')}/deployments?force=true", plan)

    assert [] == deploy(good).notices
    assert [10015] == [code for code, _ in deploy(bad).notices]
    accepting.restart(delivered=DeliveryOptions(always=True))
    assert [] == deploy(good).notices
    assert (400, [10015]) == deploy(bad).refusal
    assert () == bundle_of(accepting, "worker").behind


def test_the_last_deliverable_version_is_found_behind_many(accepting: Api) -> None:
    """The last deliverable deployment is found behind any number of later versions, also of secret writes."""
    good = bundle_of(accepting, "worker").versions
    assert accepting.upload("worker", BAD).status == 200
    for number in range(45):
        assert 200 == accepting.put("worker", {"type": "secret_text", "name": f"S{number}", "text": "x"}).status
    bundle = bundle_of(accepting, "worker")

    assert good == bundle.versions
    assert ("the binding 'STORE' is of kind kv_namespace, which cannot be served",) == bundle.behind
    assert accepting.upload("worker").status == 200
    assert 45 == len(bundle_of(accepting, "worker").versions[0].bindings)


def test_a_secret_write_to_an_undelivered_version_gets_a_notice(accepting: Api) -> None:
    """A secret write to a version that is not delivered succeeds with a notice."""
    secret = {"type": "secret_text", "name": "S", "text": "x"}
    assert [] == accepting.put("worker", secret).notices
    assert accepting.upload("worker", BAD).status == 200

    answers = [
        accepting.put("worker", secret),
        accepting.patch("worker", {"T": {"type": "secret_text", "text": "x"}}),
        accepting.send("DELETE", f"{script_at('worker')}/secrets/S"),
    ]
    assert [[10015]] * 3 == [[code for code, _ in answer.notices] for answer in answers]


def test_a_bundle_has_the_version_of_an_undeliverable_script(accepting: Api) -> None:
    """The bundle of a script without a deliverable version has its latest version, so that delivery reports why."""
    assert accepting.upload("bad", BAD).status == 200
    bundle = bundle_of(accepting, "bad")

    assert (["kv_namespace"], ()) == ([binding.kind for binding in bundle.versions[0].bindings], bundle.behind)


def test_inherited_undeliverable_bindings_are_refused(accepting: Api) -> None:
    """Inherited and kept bindings count like those of the upload; a replaced binding does not."""
    assert accepting.upload("worker", BAD).status == 200
    accepting.restart(delivered=DeliveryOptions(always=True))
    plain = {"main_module": "worker.js"}
    inherit = [{"type": "inherit", "name": "OTHER", "old_name": "STORE"}]

    assert (400, [10015]) == accepting.upload("worker", plain | {"keep_bindings": ["kv_namespace"]}).refusal
    assert "'OTHER'" in accepting.upload("worker", plain | {"bindings": inherit}).messages[0]
    text = [{"type": "plain_text", "name": "STORE", "text": "x"}]
    assert 200 == accepting.upload("worker", plain | {"bindings": text, "keep_bindings": ["kv_namespace"]}).status


def test_settings_are_refused_only_for_new_problems(accepting: Api) -> None:
    """Settings of an undeliverable script are refused only for new problems, so it can be repaired step by step."""
    assert accepting.upload("worker", BAD).status == 200
    accepting.restart(delivered=DeliveryOptions(always=True))

    answer = settings(accepting, {"bindings": [{"type": "kv_namespace", "name": "STORE"}], "usage_model": "standard"})
    assert [10015] == [code for code, _ in answer.notices]
    d1 = {"type": "d1", "name": "MORE", "id": "x"}
    refused = settings(accepting, {"bindings": [{"type": "kv_namespace", "name": "STORE"}, d1]})
    assert (1, True) == (len(refused.codes), "'MORE'" in refused.messages[0])
    assert [] == settings(accepting, {"bindings": []}).notices


def test_undeliverable_dispatched_scripts_are_accepted(delivered: Api) -> None:
    """Scripts in dispatch namespaces are accepted, because they are not delivered."""
    at = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"
    assert 200 == delivered.json("POST", at, {"name": "space"}).status
    body = form(metadata(BAD), File("worker.js"))

    assert [] == delivered.send("PUT", f"{at}/space/scripts/worker", body, [form_type()]).notices


def test_a_followed_account_refuses_undeliverable_scripts(own_api: Api) -> None:
    """While a delivery process follows an account, undeliverable scripts are refused there without any option."""
    assert own_api.upload("worker").status == 200

    async def follow() -> None:
        """Follow the account as an up-to-date delivery process."""
        await own_api.app._change_feed.follow(ACCOUNT, ("token", "process"), None, 0)

    own_api.run(follow())
    assert (400, [10015]) == own_api.upload("worker", BAD).refusal
    own_api.app._change_feed.leave(ACCOUNT, ("token", "process"))
    assert 200 == own_api.upload("worker", BAD).status


def test_bad_compatibility_flags_are_refused(delivered: Api) -> None:
    """Unknown, repeated, contradictory, experimental and Python-only compatibility flags are refused."""
    for flags, words in {
        ("no_such_flag",): "no compatibility flag 'no_such_flag'",
        ("url_standard", "url_standard"): "'url_standard' is given twice",
        ("url_original", "url_standard"): "contradict each other",
        ("nodejs_compat", "service_binding_extra_handlers"): "'service_binding_extra_handlers' is experimental",
        ("python_workers",): "'python_workers' is for Python",
    }.items():
        answer = delivered.upload("worker", {"main_module": "worker.js", "compatibility_flags": flags})
        assert (400, [10021]) == answer.refusal
        assert ["/compatibility_flags"] == answer.pointers
        assert words in answer.messages[0]
    known = ["nodejs_compat", "url_original", "tcp_sockets_support"]
    assert 200 == delivered.upload("worker", {"main_module": "worker.js", "compatibility_flags": known}).status


def test_compatibility_dates_after_today_are_refused(api: Api) -> None:
    """Today's date (UTC) is accepted, with a notice if the runtime does not know it yet; tomorrow's is refused."""
    today = dt.datetime.now(dt.UTC).date()

    def upload(date: dt.date) -> Answer:
        """Upload with a date."""
        return api.upload("dated", {"main_module": "worker.js", "compatibility_date": date.isoformat()})

    notices = [(10021, "/compatibility_date")] if today.isoformat() > NEWEST_DATE else []
    assert notices == upload(today).notices
    assert [] == upload(dt.date.fromisoformat(NEWEST_DATE)).notices
    answer = upload(today + dt.timedelta(days=1))
    assert (400, [10021], ["/compatibility_date"]) == (*answer.refusal, answer.pointers)
    assert today.isoformat() in answer.messages[0]


@pytest.mark.parametrize("member", ["main_module", "body_part"])
@pytest.mark.parametrize("kind", ["application/octet-stream", "text/plain", "application/json", "application/wasm"])
def test_a_main_file_of_another_type_is_refused(api: Api, member: str, kind: str) -> None:
    """A main file of another type is refused, with or without delivery."""
    answer = api.upload("typed", {member: "worker.js"}, File("worker.js", content_type=kind))

    assert (400, [10021], [f"/{member}"]) == (*answer.refusal, answer.pointers)


def test_a_main_module_without_an_export_is_refused(delivered: Api) -> None:
    """A main module without an export is refused; a classic script may get its handlers from anywhere."""
    answer = delivered.upload("worker", {"main_module": "worker.js"}, File("worker.js", b"let x = 1;"))

    assert (400, [10021], ["/main_module"]) == (*answer.refusal, answer.pointers)
    classic = File("worker.js", b"let x = 1;", "application/javascript")
    assert 200 == delivered.upload("worker", {"body_part": "worker.js"}, classic).status


def test_a_binding_to_a_missing_service_is_refused(api: Api) -> None:
    """Every kind of upload is refused for a binding to a missing service; the script may be bound to itself."""
    fields = {"main_module": "worker.js", "bindings": [SERVICE]}
    answer = api.upload("bound", fields)
    assert (400, [10143]) == answer.refusal
    message = "Service binding 'OTHER' references Worker 'other' which was not found: deploy that one first."
    assert [message] == answer.messages
    itself = {"main_module": "worker.js", "bindings": [SERVICE | {"service": "bound"}]}
    assert 200 == api.upload("bound", itself).status
    assert (400, [10143]) == add(api, "bound", {"bindings": [SERVICE]}).refusal
    part = File("settings", json.dumps({"bindings": [SERVICE]}).encode(), "application/json", as_file=False)
    assert (400, [10143]) == api.send("PATCH", f"{SCRIPTS}/bound/settings", form(part), [form_type()]).refusal

    assert api.upload("other").status == 200
    assert 200 == api.upload("bound", fields).status
    assert 200 == api.send("DELETE", f"{script_at('other')}?force=true").status
    inherit = [{"type": "inherit", "name": "OTHER"}]
    assert 200 == api.upload("bound", {"main_module": "worker.js", "bindings": inherit}).status
    staging = {"main_module": "worker.js", "bindings": [SERVICE | {"environment": "staging"}]}
    assert (400, [10144]) == api.upload("bound", staging).refusal


def test_a_binding_to_a_missing_stored_secret_is_refused(own_api: Api) -> None:
    """Each binding to a missing stored secret is refused by name."""
    at = f"/client/v4/accounts/{ACCOUNT}/secrets_store/stores"
    store = own_api.json("POST", at, {"name": "main"}).result["id"]
    secret = {"name": "there", "value": "x", "scopes": ["workers"]}
    assert 200 == own_api.json("POST", f"{at}/{store}/secrets", [secret]).status

    def binding(name: str, store_id: str, secret_name: str) -> dict[str, Any]:
        """Return a binding to a stored secret."""
        return {"type": "secrets_store_secret", "name": name, "store_id": store_id, "secret_name": secret_name}

    wanted = [binding("A", store, "there"), binding("B", store, "absent"), binding("C", "b" * 32, "there")]
    answer = own_api.upload("worker", {"main_module": "worker.js", "bindings": wanted})
    assert (400, [10182, 10182]) == answer.refusal
    assert answer.messages[0].startswith(f"Secrets Store binding 'B' references store '{store}' and secret 'absent'")
    twice = {"main_module": "worker.js", "bindings": [binding("B", store, "absent"), binding("D", store, "absent")]}
    assert (400, [10182, 10182]) == own_api.upload("worker", twice).refusal
    assert 200 == own_api.upload("worker", {"main_module": "worker.js", "bindings": wanted[:1]}).status


def test_code_that_the_runtime_cannot_compile_is_refused(delivered: Api) -> None:
    """The runtime's error refuses an upload while a process checks code; without a verdict the upload is accepted."""
    code_checks = delivered.app._code_checks

    async def upload_checked(problem: str | None, body: bytes = b"export {") -> int:
        """Upload while a process waits for code to check and gives this verdict, if any; return the status."""
        waiting = asyncio.create_task(code_checks.next(ACCOUNT, 5))
        await asyncio.sleep(0)
        sent = asyncio.create_task(_upload(delivered, body))
        check = await waiting
        assert check is not None
        assert [body] == [module.body for module in check.modules]
        if problem is not None:
            code_checks.record_verdict(ACCOUNT, check.id, problem)
        return await sent

    assert 400 == delivered.run(upload_checked("SyntaxError: no"))
    assert 200 == delivered.run(upload_checked(""))
    assert 200 == delivered.run(upload_checked(None))


async def _upload(api: Api, body: bytes) -> int:
    """Upload a module on the running loop; return the status."""
    from tests.unit.api.tools.driver import Exchange, scope_of  # noqa: PLC0415 - only here

    sent = form(metadata({"main_module": "worker.js"}), File("worker.js", body))
    exchange = Exchange(scope_of("PUT", script_at("worker"), [api.bearer, form_type()]), [sent])
    await api.app(exchange.scope, exchange.receive, exchange.send)
    assert exchange.answer is not None
    return exchange.answer.status
