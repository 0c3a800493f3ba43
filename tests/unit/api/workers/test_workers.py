"""The newer resource `workers/workers`: one object with the settings of every level, and what previews begin with."""

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
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Policy, allowing, encode_policies
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
    """An API with the script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def text(value: str) -> dict[str, str]:
    """A secret text as it is sent."""
    return {"type": "secret_text", "text": value}


def begin(api: Api, env: Any, member: str = "previews_base_config") -> Answer:
    """PATCH what previews begin with."""
    return api.json("PATCH", WORKER, {member: {"env": env}})


def defaults(env: Any) -> dict[str, Any]:
    """What previews begin with, by its old name."""
    return {"preview_defaults": {"env": env}}


def latest(api: Api, **body: Any) -> Answer:
    """PATCH the newest version."""
    return api.json("PATCH", f"{WORKER}/versions/latest", body)


def ask_as(api: Api, policies: bytes, method: str, path: str, body: bytes = b"") -> Answer:
    """Ask with a token that has these policies."""
    secret = new_token()
    keep(api, row(secret, policies, account_id=ACCOUNT))
    return api.send(method, path, body, [JSON, (b"authorization", b"Bearer " + secret.encode())], anonymous=True)


def test_a_worker_goes_by_name_and_by_id(worker: Api) -> None:
    """Both tell the same; what is absent is told by the code that makes clients create it, and only that."""
    told = worker.send("GET", WORKER).result

    assert told == worker.send("GET", f"{WORKERS}/{told['id']}").result
    assert ("worker", False, [], [], {"enabled": True, "previews_enabled": False}) == tuple(
        told[member] for member in ("name", "logpush", "tags", "tail_consumers", "subdomain")
    )
    assert told["created_on"] == told["deployed_on"]
    assert {"env": {}} == told["previews_base_config"] == told["preview_defaults"]
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/nothing").refusal
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/{'0' * 32}").refusal
    assert worker.send("DELETE", f"{WORKERS}/{told['id']}").result is None
    assert (404, [10007]) == worker.send("GET", WORKER).refusal


def test_an_id_is_no_way_around_a_policy(worker: Api) -> None:
    """What is denied by name is denied by id; what is allowed by name is not by id, which no glob names."""
    worker_id = worker.send("GET", WORKER).result["id"]
    here = ACCOUNT_RESOURCE + ACCOUNT
    named = allowing(here, ALL_ACCESS, scripts=["work*"])
    deny = Policy(effect="deny", permission_groups=named.permission_groups, resources=named.resources)
    but_that = encode_policies([allowing(here, ALL_ACCESS), deny])

    for key in ("worker", worker_id):
        for path in (f"{WORKERS}/{key}", f"{WORKERS}/{key}/versions/latest"):
            assert (403, [10000]) == ask_as(worker, but_that, "GET", path).refusal
        assert (403, [10000]) == ask_as(worker, but_that, "DELETE", f"{WORKERS}/{key}").refusal
    assert (403, [10000]) == ask_as(worker, policies_on("work*"), "GET", f"{WORKERS}/{worker_id}").refusal
    assert ask_as(worker, policies_on("work*"), "GET", WORKER).status == 200
    assert [] == ask_as(worker, but_that, "GET", WORKERS).result
    readers = encode_policies([allowing(here, READ)])
    assert ask_as(worker, readers, "GET", f"{WORKERS}/{worker_id}").status == 200
    assert (403, [10000]) == ask_as(worker, readers, "DELETE", f"{WORKERS}/{worker_id}").refusal


def test_a_patch_alters_what_it_names(worker: Api) -> None:
    """Deep in objects, too; no version is made, and the older pages tell the same."""
    first = {"logpush": True, "observability": {"enabled": True, "logs": {"enabled": True}}, "tags": ["a"]}
    second = {"observability": {"logs": {"persist": False}}, "tags": None, "subdomain": {"previews_enabled": True}}
    third = {"tail_consumers": [{"name": "tail"}], "subdomain": {"enabled": True}}
    for body in (first, second, third, {}):
        told = worker.json("PATCH", WORKER, {"name": "worker"} | body).result

    assert {
        "logpush": True,
        "observability": {"enabled": True, "logs": {"enabled": True, "persist": False}},
        "tags": [],
        "tail_consumers": [{"name": "tail"}],
        "subdomain": {"enabled": True, "previews_enabled": True},
    }.items() <= told.items()
    own = worker.send("GET", f"{SCRIPTS}/worker/script-settings").result
    assert (True, [{"service": "tail"}]) == (own["logpush"], own["tail_consumers"])
    assert 1 == worker.send("GET", f"{WORKER}/versions/latest").result["number"]
    assert ["workers.edit"] * 3 == [event["action"] for event in events(worker)[-3:]]


def test_a_put_resets_what_it_does_not_name(worker: Api) -> None:
    """But for what previews begin with."""
    assert worker.json("PATCH", WORKER, {"logpush": True, "subdomain": {"enabled": True}}).status == 200
    assert begin(worker, {"A": text("a")}).status == 200
    told = worker.json("PUT", WORKER, {"name": "worker", "subdomain": {"previews_enabled": True}}).result

    assert (False, {"enabled": False, "previews_enabled": True}) == (told["logpush"], told["subdomain"])
    assert {"A": {"type": "secret_text"}} == told["previews_base_config"]["env"]


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
def test_what_is_refused_of_a_worker(api: Api, body: object, code: int, pointer: str | None) -> None:
    """400 with the member at fault; no value is repeated and nothing is changed."""
    before = api.send("GET", WORKER).body
    refused = api.json("PATCH", WORKER, body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert before == api.send("GET", WORKER).body


@pytest.mark.parametrize("member", ["previews_base_config", "preview_defaults"])
def test_secrets_that_previews_begin_with(worker: Api, member: str) -> None:
    """Under both names: they go in, are sealed to a place of their own, and do not come out."""
    value = planted()
    key = PLAIN_KEY | {"key_base64": base64.b64encode(value.encode()).decode()}
    plain = {"type": "plain_text", "text": "shown"}
    answers = [
        begin(worker, {"A": text(value), "K": key, "P": plain}, member),
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


def test_what_previews_begin_with_is_merged(worker: Api) -> None:
    """Null removes, a secret without a value stays, settings are merged deeply."""
    assert begin(worker, {"A": text("a"), "B": text("b")}).status == 200
    body = {"limits": {"cpu_ms": 5}, "observability": {"enabled": True, "logs": {"enabled": True}}}
    assert worker.json("PATCH", WORKER, {"previews_base_config": body}).status == 200
    env = {"A": {"type": "secret_text"}, "B": None, "NONE": None}
    body = {"limits": {"subrequests": 7, "cpu_ms": None}, "observability": None, "env": env, "logpush": True}
    told = worker.json("PATCH", WORKER, {"previews_base_config": body}).result["previews_base_config"]

    assert {"limits": {"subrequests": 7}, "logpush": True, "env": {"A": {"type": "secret_text"}}} == told
    assert b"a" == opened(worker, Kind.SCRIPT, "worker", "A")


def test_what_previews_begin_with_goes_with_the_script(worker: Api) -> None:
    """A script of the same name later has none of it."""
    assert begin(worker, {"A": text("a")}).status == 200
    assert worker.send("DELETE", f"{SCRIPTS}/worker").status == 200
    assert (404, [10007]) == begin(worker, {"A": text("a")}).refusal
    assert worker.upload("worker").status == 200

    assert {} == items(worker, Kind.SCRIPT, "worker")
    assert {"env": {}} == worker.send("GET", WORKER).result["previews_base_config"]


def test_secrets_of_a_version_that_is_not_deployed(worker: Api) -> None:
    """The newest version has them, what is served stays; from then on a plain write is refused."""
    assert worker.put("worker", text("a") | {"name": "A"}).status == 200
    value = planted()
    made = latest(worker, env={"A": None, "B": text(value)}, annotations={"workers/message": "one more"})

    told = made.result
    assert [{"name": "B", "type": "secret_text"}] == told["bindings"]
    assert 3 == told["number"]
    assert "one more" == told["annotations"]["workers/message"]
    assert "secret" == told["annotations"]["workers/triggered_by"]
    assert not holds_plant(made.body)
    served = worker.send("GET", f"{SCRIPTS}/worker/deployments").result["deployments"][0]["versions"]
    assert told["id"] not in {one["version_id"] for one in served}
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
def test_what_is_refused_of_a_version(api: Api, body: dict[str, Any], code: int, pointer: str | None) -> None:
    """400 with the member at fault; no version is made."""
    refused = latest(api, **body)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert 1 == api.send("GET", f"{WORKER}/versions/latest").result["number"]


def test_who_may_only_set_secrets_is_told_of_no_variables(own_api: Api) -> None:
    """A new version is told by its id; what else is in it takes the permission to read scripts."""
    variable = {"type": "plain_text", "name": "V", "text": "a variable"}
    fields = {"main_module": "worker.js", "bindings": [variable], "compatibility_date": "2025-01-01"}
    assert own_api.upload("worker", fields).status == 200
    body = json.dumps({"env": {"A": text("a")}}).encode()
    policies = encode_policies([allowing(ACCOUNT_RESOURCE + ACCOUNT, SECRETS_WRITE)])

    told = ask_as(own_api, policies, "PATCH", f"{WORKER}/versions/latest", body)

    assert own_api.send("GET", f"{WORKER}/versions/latest").result["id"] == told.result["id"]
    assert not {"bindings", "compatibility_date", "main_module"} & told.result.keys()
    assert b"a variable" not in told.body
    assert "bindings" in latest(own_api, env={}).result


@pytest.mark.parametrize("kind", [[], {}, 1, ["secret_text"]])
def test_a_kind_that_is_no_text(api: Api, kind: object) -> None:
    """400 with a pointer, as of any other member."""
    refused = begin(api, {"A": {"type": kind}})

    assert ((400, [10021]), ["/previews_base_config/env/A/type"]) == (refused.refusal, refused.pointers)


def test_versions_are_found_by_id_prefix_and_as_latest(worker: Api) -> None:
    """They are listed newest first, page by page; with their files if those are asked for."""
    second = latest(worker, env={"A": text("a")}).result
    pages = [worker.send("GET", f"{WORKER}/versions?per_page=1&page={page}").result for page in (1, 2, 3)]

    assert [[2], [1], []] == [[one["number"] for one in page] for page in pages]
    for key in (second["id"], second["id"][:8], second["id"][:13], "latest"):
        assert second == worker.send("GET", f"{WORKER}/versions/{key}").result
    whole = worker.send("GET", f"{WORKER}/versions/latest?include=modules").result
    assert [base64.b64encode(b"export default {}").decode()] == [one["content_base64"] for one in whole["modules"]]
    assert (404, [100146]) == worker.send("GET", f"{WORKER}/versions/{'0' * 8}-0000-4000-8000-{'0' * 12}").refusal
    assert (404, [10007]) == worker.send("GET", f"{WORKERS}/nothing/versions/latest").refusal
    for key in ("latest", second["id"]):
        assert (400, [10015]) == worker.send("DELETE", f"{WORKER}/versions/{key}").refusal


def test_a_version_is_made_of_one_json_object(worker: Api) -> None:
    """With its files in base64 and its secrets sealed; it is deployed only if the query says so."""
    value = planted()
    source = {"name": "b.js", "content_type": "application/javascript+module", "content_base64": "YQ=="}
    body = {"main_module": "b.js", "modules": [source], "bindings": [text(value) | {"name": "A"}]}
    made = worker.json("POST", f"{WORKER}/versions", body)

    assert (2, "b.js", [{"name": "A", "type": "secret_text"}]) == tuple(
        made.result[member] for member in ("number", "main_module", "bindings")
    )
    assert not holds_plant(made.body)
    deployed = worker.json("POST", f"{WORKER}/versions?deploy=true", body).result
    served = worker.send("GET", f"{SCRIPTS}/worker/deployments").result["deployments"][0]["versions"]
    assert [deployed["id"]] == [one["version_id"] for one in served]
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


def test_workers_are_ordered(worker: Api) -> None:
    """The last one deployed comes first, unless the query says otherwise."""
    for name in ("a", "z"):
        assert worker.upload(name).status == 200
    assert worker.upload("a").status == 200

    def listed(query: str = "") -> list[str]:
        """Names in the list."""
        return [one["name"] for one in worker.send("GET", WORKERS + query).result]

    assert ["a", "z", "worker"] == listed()
    assert ["worker", "z", "a"] == listed("?order=asc")
    assert ["a", "worker", "z"] == listed("?order_by=name")
    assert ["z", "a", "worker"] == listed("?order_by=created_on")
    assert ["worker"] == listed("?order_by=name&per_page=1&page=2")
    assert (400, [10021]) == worker.send("GET", f"{WORKERS}?order_by=size").refusal
    assert (400, [10021]) == worker.send("GET", f"{WORKERS}?order=up").refusal


def test_what_is_not_done_is_named(worker: Api) -> None:
    """10015, and nothing of what came is looked at or repeated."""
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
