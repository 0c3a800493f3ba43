"""Dispatch namespaces and the scripts in them."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, Answer, Api, File, form, form_type
from tests.unit.api.tools.tokens import keep, row
from tests.unit.api.tools.values import holds_plant, planted

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, Policy, allow_policy, encode_policies
from nightsafe.store.scripts import ScriptRef

NAMESPACES = f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces"


@pytest.fixture
def space(own_api: Api) -> Api:
    """Return an API with the namespace `space`."""
    assert make(own_api, "space").status == 200
    return own_api


def make(api: Api, name: object) -> Answer:
    """POST a namespace."""
    return api.json("POST", NAMESPACES, {"name": name})


def at(script: str, rest: str = "", namespace: str = "space") -> str:
    """Return the path of a script in a namespace, or a path below it."""
    return f"{NAMESPACES}/{namespace}/scripts/{script}{rest}"


def upload(api: Api, script: str = "worker", namespace: str = "space", **metadata: Any) -> Answer:
    """PUT a module, by default without bindings."""
    fields = {"main_module": "worker.js"} | metadata
    body = form(File("metadata", json.dumps(fields).encode(), "application/json", as_file=False), File("worker.js"))
    return api.send("PUT", at(script, namespace=namespace), body, [form_type()])


def test_a_namespace_can_be_deleted_only_when_empty(own_api: Api) -> None:
    """A namespace is shown with its number of scripts, and can be deleted only when it is empty."""
    made = make(own_api, "space").result
    assert upload(own_api).status == 200
    shown = own_api.send("GET", f"{NAMESPACES}/space").result

    assert ("space", 0, False) == (made["namespace_name"], made["script_count"], made["trusted_workers"])
    assert made | {"script_count": 1} == shown
    assert [shown] == own_api.send("GET", NAMESPACES).result
    refused = own_api.send("DELETE", f"{NAMESPACES}/space")
    assert (400, [100123]) == refused.refusal
    assert "1" in refused.messages[0]
    assert own_api.send("DELETE", at("worker")).status == 200
    assert own_api.send("DELETE", f"{NAMESPACES}/space").result is None
    assert [] == own_api.send("GET", NAMESPACES).result
    assert (404, [100119]) == own_api.send("GET", f"{NAMESPACES}/space").refusal
    assert (404, [100119]) == own_api.send("DELETE", f"{NAMESPACES}/space").refusal


@pytest.mark.parametrize("name", ["", "-a", "a:b", "pages:production", "a/b", "a b", "é", "a" * 65, None, 1, ["a"]])
def test_invalid_namespace_names_are_refused(api: Api, name: object) -> None:
    """An invalid name is refused with a pointer; colons are invalid because they mark other collections."""
    refused = make(api, name)

    assert (400, [10021]) == refused.refusal
    assert ["/name"] == refused.pointers


def test_a_namespace_name_in_use_is_refused(space: Api) -> None:
    """The refusal has a code on which clients do not retry, and the name."""
    refused = make(space, "space")

    assert (400, [1003]) == refused.refusal
    assert "space" in refused.messages[0]


def test_paths_below_a_missing_namespace_get_100119(api: Api) -> None:
    """Every method of every path gets 100119, because clients would make a script at 10007."""
    routes = [(route.path, route.app._by_method) for route in api.app._router.routes]  # type: ignore[attr-defined]
    below = [(path, method) for path, methods in routes if "{namespace}/scripts" in path for method in methods]
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


def test_a_missing_dispatched_script_gets_10092(space: Api) -> None:
    """A missing script gets 10092, on which wrangler offers to make it; the paths below it get 10007."""
    assert (404, [10092]) == space.send("GET", at("worker")).refusal
    for method, rest in (("GET", "/secrets"), ("GET", "/settings"), ("GET", "/content"), ("GET", "/tags")):
        assert (404, [10007]) == space.send(method, at("worker", rest)).refusal
    assert (404, [10007]) == space.json("PUT", at("worker", "/tags"), ["a"]).refusal


def test_secrets_of_a_dispatched_script_are_separate(space: Api) -> None:
    """Secrets of a dispatched script can be put, listed, read, patched and deleted apart from its namesake's."""
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
    assert ["A", "B"] == [binding["name"] for binding in answers[4].result]
    assert not any(holds_plant(answer.body) for answer in answers)
    stored = {
        binding.name: binding for binding in space.run(space.store.bindings(ScriptRef(ACCOUNT, "worker", "space")))
    }
    assert None not in {binding.sealed for binding in stored.values()}
    assert space.send("DELETE", at("worker", "/secrets/A")).result is None
    assert (404, [10056]) == space.send("GET", at("worker", "/secrets/A")).refusal
    assert [] == space.send("GET", f"/client/v4/accounts/{ACCOUNT}/workers/scripts/worker/secrets").result


def test_dispatched_scripts_are_listed_by_tag(space: Api) -> None:
    """Dispatched scripts are listed by tag, and not among the account's own scripts."""
    for name, tags in (("one", ["a", "b"]), ("two", ["b"])):
        assert upload(space, name, tags=tags).status == 200

    def listed(query: str = "") -> list[str]:
        """Return the names of the scripts in the list."""
        return [script["id"] for script in space.send("GET", f"{NAMESPACES}/space/scripts{query}").result]

    assert ["one", "two"] == listed()
    assert ["one"] == listed("?tags=a:yes")
    assert ["two"] == listed("?tags=b:yes,a:no")
    assert (400, [10021]) == space.send("GET", f"{NAMESPACES}/space/scripts?tags=a").refusal
    shown = space.send("GET", at("one")).result
    assert ("space", "one", ["a", "b"]) == (
        shown["dispatch_namespace"],
        shown["script"]["id"],
        shown["script"]["tags"],
    )
    assert [] == space.send("GET", f"/client/v4/accounts/{ACCOUNT}/workers/scripts").result


def test_tags_change_without_a_version(space: Api) -> None:
    """Tags are replaced, added and removed without duplicates and without a new version."""
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
def test_invalid_tags_are_refused(space: Api, tags: object) -> None:
    """Invalid tags are refused, and nothing changes."""
    assert upload(space, tags=["a"]).status == 200

    assert (400, [10021]) == space.json("PUT", at("worker", "/tags"), tags).refusal
    assert ["a"] == space.send("GET", at("worker", "/tags")).result


def test_unsupported_namespace_requests_get_10015(space: Api) -> None:
    """Unsupported requests get 10015 whether or not their object exists."""
    for method, path in (
        ("PUT", f"{NAMESPACES}/space"),
        ("PATCH", f"{NAMESPACES}/nowhere"),
        ("POST", at("worker", "/assets-upload-session")),
    ):
        refused = space.send(method, path, b"{}", [JSON])
        assert (400, [10015]) == refused.refusal
        assert refused.messages[0].startswith("Nightsafe does not ")


def test_denied_dispatched_scripts_are_not_listed(space: Api) -> None:
    """A script that a policy denies by namespace and name is not listed."""
    for name in ("one", "two"):
        assert upload(space, name).status == 200
    here, secret = ACCOUNT_RESOURCE + ACCOUNT, new_token()
    denied: Policy = allow_policy(here, ALL_ACCESS, scripts=["space/*two"])
    deny = Policy(effect="deny", permission_groups=denied.permission_groups, resources=denied.resources)
    keep(space, row(secret, encode_policies([allow_policy(here, ALL_ACCESS), deny]), account_id=ACCOUNT))
    bearer = [(b"authorization", b"Bearer " + secret.encode())]

    listed = space.send("GET", f"{NAMESPACES}/space/scripts", b"", bearer, anonymous=True).result
    assert ["one"] == [script["id"] for script in listed]
    assert (403, [10000]) == space.send("GET", at("two"), b"", bearer, anonymous=True).refusal
