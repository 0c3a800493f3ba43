"""The newer resource `workers/workers`: settings of every level in one object, and the base of previews."""

import base64
import json
from typing import Any

import pytest
from tests.unit.api.tools.collections import events, items, opened
from tests.unit.api.tools.driver import ACCOUNT, JSON, SCRIPTS, Answer, Api
from tests.unit.api.tools.tokens import READ, keep, policies_on, row
from tests.unit.api.tools.values import holds_plant, planted

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Policy, allow_policy, encode_policies
from nightsafe.store.collections import Kind

WORKERS = f"/client/v4/accounts/{ACCOUNT}/workers/workers"
WORKER = f"{WORKERS}/worker"
ENV = "/preview_defaults/env"
PLAIN_KEY = {
    "type": "secret_key",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
}


SECRETS_WRITE = "6e6967687473616665207365637265c1"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with the script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def text(value: str) -> dict[str, str]:
    """Return a `secret_text` in the form of a request."""
    return {"type": "secret_text", "text": value}


def patch_preview_env(api: Api, env: Any, member: str = "previews_base_config") -> Answer:
    """PATCH the variables of the base of previews."""
    return api.json("PATCH", WORKER, {member: {"env": env}})


def defaults(env: Any) -> dict[str, Any]:
    """Return the base of previews under its old name."""
    return {"preview_defaults": {"env": env}}


def latest(api: Api, **body: Any) -> Answer:
    """PATCH the newest version."""
    return api.json("PATCH", f"{WORKER}/versions/latest", body)


def ask_as(api: Api, policies: bytes, method: str, path: str, body: bytes = b"") -> Answer:
    """Send a request with a token that has these policies."""
    secret = new_token()
    keep(api, row(secret, policies, account_id=ACCOUNT))
    return api.send(method, path, body, [JSON, (b"authorization", b"Bearer " + secret.encode())], anonymous=True)


def test_a_worker_is_found_by_name_and_by_id(worker: Api) -> None:
    """A worker is found by its name and by its ID; a missing one gets 10007, at which clients make it."""
    shown = worker.send("GET", WORKER).result

    assert shown == worker.send("GET", f"{WORKERS}/{shown['id']}").result
    assert ("worker", False, [], [], {"enabled": True, "previews_enabled": False}) == tuple(
        shown[member] for member in ("name", "logpush", "tags", "tail_consumers", "subdomain")
    )
    assert shown["created_on"] == shown["deployed_on"]
    assert {"env": {}} == shown["previews_base_config"] == shown["preview_defaults"]
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/nothing").refusal
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/{'0' * 32}").refusal
    assert worker.send("DELETE", f"{WORKERS}/{shown['id']}").result is None
    assert (404, [10007]) == worker.send("GET", WORKER).refusal


def test_policies_by_name_hold_for_the_id(worker: Api) -> None:
    """A script denied by name is denied by ID; a permission by name does not cover the ID, which matches no glob."""
    worker_id = worker.send("GET", WORKER).result["id"]
    here = ACCOUNT_RESOURCE + ACCOUNT
    named = allow_policy(here, ALL_ACCESS, scripts=["work*"])
    deny = Policy(effect="deny", permission_groups=named.permission_groups, resources=named.resources)
    all_but_one = encode_policies([allow_policy(here, ALL_ACCESS), deny])

    for key in ("worker", worker_id):
        for path in (f"{WORKERS}/{key}", f"{WORKERS}/{key}/versions/latest"):
            assert (403, [10000]) == ask_as(worker, all_but_one, "GET", path).refusal
        assert (403, [10000]) == ask_as(worker, all_but_one, "DELETE", f"{WORKERS}/{key}").refusal
    assert (403, [10000]) == ask_as(worker, policies_on("work*"), "GET", f"{WORKERS}/{worker_id}").refusal
    assert ask_as(worker, policies_on("work*"), "GET", WORKER).status == 200
    assert [] == ask_as(worker, all_but_one, "GET", WORKERS).result
    readers = encode_policies([allow_policy(here, READ)])
    assert ask_as(worker, readers, "GET", f"{WORKERS}/{worker_id}").status == 200
    assert (403, [10000]) == ask_as(worker, readers, "DELETE", f"{WORKERS}/{worker_id}").refusal


def test_a_patch_merges_nested_settings(worker: Api) -> None:
    """A patch merges nested objects and makes no version; the older pages show the same settings."""
    first = {"logpush": True, "observability": {"enabled": True, "logs": {"enabled": True}}, "tags": ["a"]}
    second = {"observability": {"logs": {"persist": False}}, "tags": None, "subdomain": {"previews_enabled": True}}
    third = {"tail_consumers": [{"name": "tail"}], "subdomain": {"enabled": True}}
    for body in (first, second, third, {}):
        shown = worker.json("PATCH", WORKER, {"name": "worker"} | body).result

    assert {
        "logpush": True,
        "observability": {"enabled": True, "logs": {"enabled": True, "persist": False}},
        "tags": [],
        "tail_consumers": [{"name": "tail"}],
        "subdomain": {"enabled": True, "previews_enabled": True},
    }.items() <= shown.items()
    script_settings = worker.send("GET", f"{SCRIPTS}/worker/script-settings").result
    assert (True, [{"service": "tail"}]) == (script_settings["logpush"], script_settings["tail_consumers"])
    assert 1 == worker.send("GET", f"{WORKER}/versions/latest").result["number"]
    assert ["workers.edit"] * 3 == [event["action"] for event in events(worker)[-3:]]


def test_a_put_resets_omitted_settings(worker: Api) -> None:
    """A PUT resets omitted settings, except the base of previews."""
    assert worker.json("PATCH", WORKER, {"logpush": True, "subdomain": {"enabled": True}}).status == 200
    assert patch_preview_env(worker, {"A": text("a")}).status == 200
    shown = worker.json("PUT", WORKER, {"name": "worker", "subdomain": {"previews_enabled": True}}).result

    assert (False, {"enabled": False, "previews_enabled": True}) == (shown["logpush"], shown["subdomain"])
    assert {"A": {"type": "secret_text"}} == shown["previews_base_config"]["env"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ([], 10021, ""),
        ({"name": "other"}, 10015, "/name"),
        ({"name": 1}, 10021, "/name"),
        ({"logpush": "planted-value"}, 10021, "/logpush"),
        ({"tags": ["a,b"]}, 10021, "/tags"),
        ({"tail_consumers": ["planted-value"]}, 10021, "/tail_consumers/0"),
        ({"tail_consumers": [{}]}, 10021, "/tail_consumers/0/name"),
        ({"subdomain": {"enabled": "planted-value"}}, 10021, "/subdomain/enabled"),
        ({"preview_defaults": {}, "previews_base_config": {}}, 10021, ""),
        ({"preview_defaults": []}, 10021, "/preview_defaults"),
        ({"preview_defaults": {"limits": "planted-value"}}, 10021, "/preview_defaults/limits"),
        (defaults([]), 10021, ENV),
        (defaults({"A": "planted-value"}), 10021, f"{ENV}/A"),
        (defaults({"A": {"text": "planted-value"}}), 10021, f"{ENV}/A/type"),
        (defaults({"A": text("planted-value") | {"name": "B"}}), 10021, f"{ENV}/A/name"),
        (defaults({"": text("planted-value")}), 10052, f"{ENV}//name"),
        (defaults({"A": text("planted-value" * 400)}), 10054, f"{ENV}/A/text"),
        (defaults({"A": {"type": "inherit"}}), 10015, f"{ENV}/A/type"),
        (defaults({"A": {"type": "secret_text"}}), 10021, None),
        (defaults({f"A{n}": text("planted-value") for n in range(1001)}), 10021, ENV),
        (defaults({f"A{n}": text("planted-value") for n in range(129)}), 10055, None),
    ],
)  # fmt: skip
def test_an_invalid_worker_is_refused_with_a_pointer(api: Api, body: object, code: int, pointer: str | None) -> None:
    """The refusal points at the bad member and repeats no value; nothing changes."""
    before = api.send("GET", WORKER).body
    refused = api.json("PATCH", WORKER, body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert before == api.send("GET", WORKER).body


@pytest.mark.parametrize("member", ["previews_base_config", "preview_defaults"])
def test_secrets_of_the_preview_base_are_sealed(worker: Api, member: str) -> None:
    """Secrets of the base of previews are sealed to a place of their own and not shown, under both member names."""
    value = planted()
    key = PLAIN_KEY | {"key_base64": base64.b64encode(value.encode()).decode()}
    plain = {"type": "plain_text", "text": "shown"}
    answers = [
        patch_preview_env(worker, {"A": text(value), "K": key, "P": plain}, member),
        worker.send("GET", WORKER),
        worker.send("GET", WORKERS),
    ]

    assert {"A": {"type": "secret_text"}, "K": PLAIN_KEY, "P": plain} == answers[1].result[member]["env"]
    assert [value.encode()] * 2 == [opened(worker, Kind.SCRIPT, "worker", name) for name in "AK"]
    assert not any(holds_plant(answer.body) for answer in answers)
    assert not any(holds_plant(file.read_bytes()) for file in worker.path.parent.iterdir())
    event = events(worker)[-1]
    assert ("workers.edit", "script", "worker", ["A", "K", "P"]) == (
        event["action"], event["holder"], event["script"], sorted(event["set"])
    )  # fmt: skip
    assert [] == worker.send("GET", f"{SCRIPTS}/worker/secrets").result


def test_the_preview_base_is_merged(worker: Api) -> None:
    """Null removes, a secret without its value stays, and settings are merged deeply."""
    assert patch_preview_env(worker, {"A": text("a"), "B": text("b")}).status == 200
    body = {"limits": {"cpu_ms": 5}, "observability": {"enabled": True, "logs": {"enabled": True}}}
    assert worker.json("PATCH", WORKER, {"previews_base_config": body}).status == 200
    env = {"A": {"type": "secret_text"}, "B": None, "NONE": None}
    body = {"limits": {"subrequests": 7, "cpu_ms": None}, "observability": None, "env": env, "logpush": True}
    shown = worker.json("PATCH", WORKER, {"previews_base_config": body}).result["previews_base_config"]

    assert {"limits": {"subrequests": 7}, "logpush": True, "env": {"A": {"type": "secret_text"}}} == shown
    assert b"a" == opened(worker, Kind.SCRIPT, "worker", "A")


def test_the_preview_base_is_deleted_with_the_script(worker: Api) -> None:
    """Deleting a script deletes its base of previews, and a new script of that name starts without one."""
    assert patch_preview_env(worker, {"A": text("a")}).status == 200
    assert worker.send("DELETE", f"{SCRIPTS}/worker").status == 200
    assert (404, [10007]) == patch_preview_env(worker, {"A": text("a")}).refusal
    assert worker.upload("worker").status == 200

    assert {} == items(worker, Kind.SCRIPT, "worker")
    assert {"env": {}} == worker.send("GET", WORKER).result["previews_base_config"]


def test_secrets_can_be_set_without_a_deployment(worker: Api) -> None:
    """The newest version has the secrets and is not deployed; after that, plain writes are refused."""
    assert worker.put("worker", text("a") | {"name": "A"}).status == 200
    value = planted()
    made = latest(worker, env={"A": None, "B": text(value)}, annotations={"workers/message": "one more"})

    version = made.result
    assert [{"name": "B", "type": "secret_text"}] == version["bindings"]
    assert 3 == version["number"]
    assert "one more" == version["annotations"]["workers/message"]
    assert "secret" == version["annotations"]["workers/triggered_by"]
    assert not holds_plant(made.body)
    deployed_versions = worker.send("GET", f"{SCRIPTS}/worker/deployments").result["deployments"][0]["versions"]
    assert version["id"] not in {deployed["version_id"] for deployed in deployed_versions}
    assert (400, [10215]) == worker.put("worker", text("c") | {"name": "C"}).refusal
    assert 4 == latest(worker, env={}).result["number"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"bindings": [text("planted-value") | {"name": "A"}]}, 10015, None),
        ({"env": {"A": "planted-value"}}, 10021, "/env/A"),
        ({"env": {"A": {"type": "plain_text", "text": "planted-value"}}}, 10021, "/env/A/type"),
        ({"env": ["planted-value"]}, 10021, "/env"),
        ({"env": {f"A{n}": None for n in range(101)}}, 100160, "/env"),
        ({"env": {}, "annotations": "planted-value"}, 10021, "/annotations"),
    ],
)
def test_an_invalid_version_is_refused_with_a_pointer(
    api: Api, body: dict[str, Any], code: int, pointer: str | None
) -> None:
    """The refusal points at the bad member and repeats no value; no version is made."""
    refused = latest(api, **body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert 1 == api.send("GET", f"{WORKER}/versions/latest").result["number"]


def test_a_writer_of_secrets_sees_no_variables(own_api: Api) -> None:
    """A caller who may only write secrets sees the new version's ID, but no variables or settings."""
    variable = {"type": "plain_text", "name": "V", "text": "a variable"}
    fields = {"main_module": "worker.js", "bindings": [variable], "compatibility_date": "2025-01-01"}
    assert own_api.upload("worker", fields).status == 200
    body = json.dumps({"env": {"A": text("a")}}).encode()
    policies = encode_policies([allow_policy(ACCOUNT_RESOURCE + ACCOUNT, SECRETS_WRITE)])

    answer = ask_as(own_api, policies, "PATCH", f"{WORKER}/versions/latest", body)

    assert own_api.send("GET", f"{WORKER}/versions/latest").result["id"] == answer.result["id"]
    assert not {"bindings", "compatibility_date", "main_module"} & answer.result.keys()
    assert b"a variable" not in answer.body
    assert "bindings" in latest(own_api, env={}).result


@pytest.mark.parametrize("kind", [[], {}, 1, ["secret_text"]])
def test_a_type_other_than_a_string_is_refused(api: Api, kind: object) -> None:
    """A type other than a string is refused with a pointer."""
    refused = patch_preview_env(api, {"A": {"type": kind}})

    assert ((400, [10021]), ["/previews_base_config/env/A/type"]) == (refused.refusal, refused.pointers)


def test_versions_are_found_by_id_prefix_and_latest(worker: Api) -> None:
    """Versions are found by ID, by its prefix and as `latest`; lists are paged, and files are shown on request."""
    second = latest(worker, env={"A": text("a")}).result
    pages = [worker.send("GET", f"{WORKER}/versions?per_page=1&page={page}").result for page in (1, 2, 3)]

    assert [[2], [1], []] == [[version["number"] for version in page] for page in pages]
    for key in (second["id"], second["id"][:8], second["id"][:13], "latest"):
        assert second == worker.send("GET", f"{WORKER}/versions/{key}").result
    with_files = worker.send("GET", f"{WORKER}/versions/latest?include=modules").result
    assert [base64.b64encode(b"export default {}").decode()] == [
        module["content_base64"] for module in with_files["modules"]
    ]
    assert (404, [100146]) == worker.send("GET", f"{WORKER}/versions/{'0' * 8}-0000-4000-8000-{'0' * 12}").refusal
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/nothing/versions/latest").refusal
    for key in ("latest", second["id"]):
        assert (400, [10015]) == worker.send("DELETE", f"{WORKER}/versions/{key}").refusal


def test_a_version_can_be_made_from_json(worker: Api) -> None:
    """A version may be made from one JSON object with files in base64; it is deployed only with `deploy=true`."""
    value = planted()
    source = {"name": "b.js", "content_type": "application/javascript+module", "content_base64": "YQ=="}
    body = {"main_module": "b.js", "modules": [source], "bindings": [text(value) | {"name": "A"}]}
    made = worker.json("POST", f"{WORKER}/versions", body)

    assert (2, "b.js", [{"name": "A", "type": "secret_text"}]) == tuple(
        made.result[member] for member in ("number", "main_module", "bindings")
    )
    assert not holds_plant(made.body)
    deployed = worker.json("POST", f"{WORKER}/versions?deploy=true", body).result
    deployed_versions = worker.send("GET", f"{SCRIPTS}/worker/deployments").result["deployments"][0]["versions"]
    assert [deployed["id"]] == [version["version_id"] for version in deployed_versions]
    assert (404, [10007]) == worker.json("POST", f"{WORKERS}/nothing/versions?deploy=true", body).refusal
    for modules, pointer in (
        ([], "/modules"),
        ([source | {"content_base64": "planted-value!"}], "/modules/0/content_base64"),
        (["planted-value"], "/modules/0"),
        (None, "/modules"),
    ):
        refused = worker.json("POST", f"{WORKER}/versions", body | {"modules": modules})
        assert ((400, [10021]), [pointer]) == (refused.refusal, refused.pointers)
        assert not holds_plant(refused.body)


def test_workers_are_listed_in_the_given_order(worker: Api) -> None:
    """Workers are listed by their last deployment, the latest first, or in the given order."""
    for name in ("a", "z"):
        assert worker.upload(name).status == 200
    assert worker.upload("a").status == 200

    def listed(query: str = "") -> list[str]:
        """Return the names in the list."""
        return [listed_worker["name"] for listed_worker in worker.send("GET", WORKERS + query).result]

    assert ["a", "z", "worker"] == listed()
    assert ["worker", "z", "a"] == listed("?order=asc")
    assert ["a", "worker", "z"] == listed("?order_by=name")
    assert ["z", "a", "worker"] == listed("?order_by=created_on")
    assert ["worker"] == listed("?order_by=name&per_page=1&page=2")
    assert (400, [10021]) == worker.send("GET", f"{WORKERS}?order_by=size").refusal
    assert (400, [10021]) == worker.send("GET", f"{WORKERS}?order=up").refusal


def test_unsupported_worker_requests_get_10015(worker: Api) -> None:
    """Unsupported requests get 10015, and their bodies are neither checked nor repeated."""
    preview = f"{WORKER}/previews/main"
    body = {"env": {"A": text("planted-value")}}
    for method, path in (
        ("POST", WORKERS),
        ("POST", f"{WORKER}/previews"),
        ("PATCH", preview),
        ("POST", f"{preview}/deployments"),
        ("PATCH", f"{preview}/deployments/another"),
    ):
        refused = worker.json(method, path, body)
        assert (400, [10015]) == refused.refusal
        assert refused.messages[0].startswith("Nightsafe does not ")
        assert not holds_plant(refused.body)
    for path in (f"{WORKER}/previews", preview, f"{preview}/deployments", f"{preview}/deployments/another"):
        assert (400, [10015]) == worker.send("GET", path).refusal
