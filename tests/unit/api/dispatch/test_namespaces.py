"""Dispatch namespaces, and the scripts in them with all that scripts have."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, form, form_type
from tests.unit.api.tools.tokens import keep, row
from tests.unit.api.tools.values import holds_plant, planted

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Policy, allowing, encode_policies
from nightsafe.store.scripts import ScriptRef

NAMESPACES = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"


@pytest.fixture
def space(own_api: Api) -> Api:
    """An API with the namespace `space`."""
    assert make(own_api, "space").status == 200
    return own_api


def make(api: Api, name: object) -> Answer:
    """POST a namespace."""
    return api.json("POST", NAMESPACES, {"name": name})


def at(script: str, rest: str = "", namespace: str = "space") -> str:
    """The path of a script in a namespace, or of something below it."""
    return f"{NAMESPACES}/{namespace}/scripts/{script}{rest}"


def upload(api: Api, script: str = "worker", namespace: str = "space", **metadata: Any) -> Answer:
    """PUT a module without bindings, unless the metadata says otherwise."""
    fields = {"main_module": "worker.js"} | metadata
    body = form(File("metadata", json.dumps(fields).encode(), "application/json", as_file=False), File("worker.js"))
    return api.send("PUT", at(script, namespace=namespace), body, [form_type()])


def test_a_namespace_from_its_making_to_its_end(own_api: Api) -> None:
    """It is listed and told with how many scripts it holds, and goes only once it holds none."""
    made = make(own_api, "space").result
    assert upload(own_api).status == 200
    told = own_api.send("GET", f"{NAMESPACES}/space").result

    assert ("space", 0, False) == (made["namespace_name"], made["script_count"], made["trusted_workers"])
    assert made | {"script_count": 1} == told
    assert [told] == own_api.send("GET", NAMESPACES).result
    refused = own_api.send("DELETE", f"{NAMESPACES}/space")
    assert (400, [100123]) == refused.refusal
    assert "1" in refused.messages[0]
    assert own_api.send("DELETE", at("worker")).status == 200
    assert own_api.send("DELETE", f"{NAMESPACES}/space").result is None
    assert [] == own_api.send("GET", NAMESPACES).result
    assert (404, [100119]) == own_api.send("GET", f"{NAMESPACES}/space").refusal
    assert (404, [100119]) == own_api.send("DELETE", f"{NAMESPACES}/space").refusal


@pytest.mark.parametrize("name", ["", "-a", "a:b", "pages:production", "a/b", "a b", "é", "a" * 65, None, 1, ["a"]])
def test_names_that_no_namespace_may_have(api: Api, name: object) -> None:
    """400 with the field and the way out; above all no colon, which marks the places of other collections."""
    refused = make(api, name)

    assert (400, [10021]) == refused.refusal
    assert ["/name"] == refused.pointers


def test_a_name_is_taken_once(space: Api) -> None:
    """400, which no client repeats, and the name."""
    refused = make(space, "space")

    assert (400, [1003]) == refused.refusal
    assert "space" in refused.messages[0]


def test_below_an_absent_namespace_no_script_is_called_absent(api: Api) -> None:
    """Every method of every path answers 100119: on 10007, clients would create a script."""
    gates = [(route.path, gate._by_method) for route in api.app._router.routes for gate in (route.app,)]  # type: ignore[attr-defined]
    below = [(path, method) for path, by in gates if "{namespace}/scripts" in path for method in by]
    refusals = {
        (path, method): api.send(
            method,
            path.replace("{account_id}", ACCOUNT).replace("{namespace}", "nowhere").replace("{script_name}", "x"),
        ).refusal
        for path, method in below
        if not path.endswith("assets-upload-session")
    }

    assert len(refusals) > 20
    assert {(404, (100119,))} == {(status, tuple(codes)) for status, codes in refusals.values()}
    assert (404, [100119]) == upload(api, namespace="nowhere").refusal


def test_an_absent_script_is_told_by_a_code_of_its_own(space: Api) -> None:
    """10092 where wrangler asks whether to make it, 10007 for what is below it."""
    assert (404, [10092]) == space.send("GET", at("worker")).refusal
    for method, rest in (("GET", "/secrets"), ("GET", "/settings"), ("GET", "/content"), ("GET", "/tags")):
        assert (404, [10007]) == space.send(method, at("worker", rest)).refusal
    assert (404, [10007]) == space.json("PUT", at("worker", "/tags"), ["a"]).refusal


def test_secrets_of_a_script_in_a_namespace(space: Api) -> None:
    """Put, list, get, patch and delete; of the script of that name elsewhere nothing changes."""
    value = planted()
    assert space.upload("worker").status == 200
    assert upload(space).status == 200
    secret = {"name": "A", "type": "secret_text"}
    answers = [
        space.json("PUT", at("worker", "/secrets"), secret | {"text": value}),
        space.send("GET", at("worker", "/secrets/A")),
        space.send("GET", at("worker", "/secrets")),
        space.json("PATCH", at("worker", "/secrets-bulk"), {"secrets": {"B": secret | {"name": "B", "text": value}}}),
        space.send("GET", at("worker", "/bindings")),
        space.send("GET", at("worker", "/settings")),
    ]

    assert [secret, secret, [secret]] == [answer.result for answer in answers[:3]]
    assert {"A", "B"} == set(answers[3].result)
    assert ["A", "B"] == [one["name"] for one in answers[4].result]
    assert not any(holds_plant(answer.body) for answer in answers)
    stored = {one.name: one for one in space.run(space.store.bindings(ScriptRef(ACCOUNT, "worker", "space")))}
    assert None not in {one.sealed for one in stored.values()}
    assert space.send("DELETE", at("worker", "/secrets/A")).result is None
    assert (404, [10056]) == space.send("GET", at("worker", "/secrets/A")).refusal
    assert [] == space.send("GET", f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets").result


def test_scripts_of_a_namespace_are_listed_by_tag(space: Api) -> None:
    """Each says where it is; none is among the account's own."""
    for name, tags in (("one", ["a", "b"]), ("two", ["b"])):
        assert upload(space, name, tags=tags).status == 200

    def listed(query: str = "") -> list[str]:
        """Names of the scripts in the list."""
        return [one["id"] for one in space.send("GET", f"{NAMESPACES}/space/scripts{query}").result]

    assert ["one", "two"] == listed()
    assert ["one"] == listed("?tags=a:yes")
    assert ["two"] == listed("?tags=b:yes,a:no")
    assert (400, [10021]) == space.send("GET", f"{NAMESPACES}/space/scripts?tags=a").refusal
    told = space.send("GET", at("one")).result
    assert ("space", "one", ["a", "b"]) == (told["dispatch_namespace"], told["script"]["id"], told["script"]["tags"])
    assert [] == space.send("GET", f"/client/v4/accounts/{ACCOUNT}/workers/scripts").result


def test_tags(space: Api) -> None:
    """They are replaced, added and removed without a version; each is there once."""
    assert upload(space, tags=["a"]).status == 200
    tags = at("worker", "/tags")

    assert ["b", "c"] == space.json("PUT", tags, ["b", "c", "b"]).result
    assert ["b", "c", "d e"] == space.send("PUT", f"{tags}/d%20e").result
    assert ["b", "c", "d e"] == space.send("PUT", f"{tags}/b").result
    assert space.send("DELETE", f"{tags}/c").result is None
    assert space.send("DELETE", f"{tags}/c").result is None
    assert ["b", "d e"] == space.send("GET", tags).result
    assert [] == space.json("PUT", tags, None).result
    assert [] == space.send("GET", tags).result
    script = space.run(space.store.script(ScriptRef(ACCOUNT, "worker", "space")))
    assert script is not None
    assert script.version == 1


@pytest.mark.parametrize("tags", ["a", {}, [1], ["a,b"], ["a&b"], [""], ["a" * 1025], list("abcdefghijk")])
def test_tags_that_no_script_may_have(space: Api, tags: object) -> None:
    """400, and nothing is changed."""
    assert upload(space, tags=["a"]).status == 200

    assert (400, [10021]) == space.json("PUT", at("worker", "/tags"), tags).refusal
    assert ["a"] == space.send("GET", at("worker", "/tags")).result


def test_what_is_not_done_is_named(space: Api) -> None:
    """10015, whether or not what it is about is there."""
    for method, path in (
        ("PUT", f"{NAMESPACES}/space"),
        ("PATCH", f"{NAMESPACES}/nowhere"),
        ("POST", at("worker", "/assets-upload-session")),
    ):
        refused = space.send(method, path, b"{}", [JSON])
        assert (400, [10015]) == refused.refusal
        assert refused.messages[0].startswith("Nightsafe does not ")


def test_a_policy_keeps_scripts_out_of_the_list(space: Api) -> None:
    """What is denied by namespace and name is not told of."""
    for name in ("one", "two"):
        assert upload(space, name).status == 200
    here, secret = ACCOUNT_RESOURCE + ACCOUNT, new_token()
    denied: Policy = allowing(here, ALL_ACCESS, scripts=["space/*two"])
    deny = Policy(effect="deny", permission_groups=denied.permission_groups, resources=denied.resources)
    keep(space, row(secret, encode_policies([allowing(here, ALL_ACCESS), deny]), account_id=ACCOUNT))
    bearer = [(b"authorization", b"Bearer " + secret.encode())]

    every = space.send("GET", f"{NAMESPACES}/space/scripts", b"", bearer, anonymous=True).result
    assert ["one"] == [one["id"] for one in every]
    assert (403, [10000]) == space.send("GET", at("two"), b"", bearer, anonymous=True).refusal
