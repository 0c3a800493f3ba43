"""Deletions of scripts: refusals while other scripts need them, `force`, and deletions by tag."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.tokens import keep, policies_on, row
from tests.unit.api.tools.uploads import add, metadata

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy, encode_policies

AT = f"/client/v4/accounts/{ACCOUNT}/workers"
NAMESPACE = f"{AT}/dispatch/namespaces/customers"
PLACES = (
    f"{AT}/scripts/target",
    f"{AT}/services/target",
    f"{AT}/services/target/environments/production",
    f"{AT}/workers/target",
)
SERVICE = {"type": "service", "name": "S", "service": "target"}
BINDINGS: list[dict[str, Any]] = [
    SERVICE,
    {"type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": "target"},
    {"type": "workflow", "name": "W", "workflow_name": "w", "class_name": "Flow", "script_name": "target"},
    {
        "type": "dispatch_namespace",
        "name": "D",
        "namespace": "customers",
        "outbound": {"worker": {"service": "target"}},
    },
]


def put(api: Api, path: str, **fields: object) -> None:
    """Upload a script to a path."""
    body = form(metadata({"main_module": "worker.js", **fields}), File("worker.js"))
    assert 200 == api.send("PUT", path, body, [form_type()]).status


@pytest.fixture
def target(own_api: Api) -> Api:
    """Return an API with a script `target` and a dispatch namespace."""
    put(own_api, script_at("target"))
    assert 200 == own_api.json("POST", f"{AT}/dispatch/namespaces", {"name": "customers"}).status
    return own_api


def delete(api: Api, path: str, query: str = "", headers: Any = ()) -> Answer:
    """Send a DELETE request."""
    return api.send("DELETE", f"{path}{query}", b"", headers, anonymous=bool(headers))


@pytest.mark.parametrize("binding", BINDINGS)
def test_a_script_that_others_are_bound_to_is_not_deleted(target: Api, binding: dict[str, Any]) -> None:
    """On every path, the deletion is refused with 10142 and the bindings in use; `force=true` deletes the script."""
    put(target, script_at("user"), bindings=[binding])

    for place in PLACES:
        for query in ("", "?force=false"):
            answer = delete(target, place, query)
            assert (400, [10142]) == answer.refusal
            assert f"'user' by its {binding['type']} binding '{binding['name']}'" in answer.messages[0]
            assert "?force=true" in answer.messages[0]
    assert 200 == delete(target, PLACES[0], "?force=true").status
    assert [binding["name"]] == [kept["name"] for kept in target.send("GET", f"{script_at('user')}/bindings").result]


def test_a_script_that_too_many_bindings_name_is_not_deleted(target: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many bindings name a script to check them all, its deletion is refused; `force=true` deletes it."""
    monkeypatch.setattr("nightsafe.services.scripts.references.MAX_CANDIDATES", 2)
    other = {"type": "service", "service": "user", "entrypoint": "target"}
    put(target, script_at("user"))
    put(target, script_at("user"), bindings=[{**other, "name": "A"}])
    assert 200 == delete(target, PLACES[0]).status

    put(target, script_at("target"))
    put(target, script_at("user"), bindings=[{**other, "name": "A"}, {**other, "name": "B"}])
    answer = delete(target, PLACES[0])
    assert (400, [10142]) == answer.refusal
    assert "2 bindings or more name it, too many to check whether it is needed; add ?force" in answer.messages[0]
    assert 200 == delete(target, PLACES[0], "?force=true").status


@pytest.mark.parametrize("member", ["tail_consumers", "streaming_tail_consumers"])
def test_a_tail_consumer_in_use_is_not_deleted(target: Api, member: str) -> None:
    """A tail consumer can be deleted once no script sends it its tail."""
    put(target, script_at("producer"), **{member: [{"service": "target"}]})

    answer = delete(target, PLACES[0])
    assert ((400, [10142]), True) == (answer.refusal, "'producer' as its tail consumer" in answer.messages[0])
    put(target, script_at("producer"), **{member: []})
    assert 200 == delete(target, PLACES[0]).status


def test_deployed_and_newest_bindings_prevent_a_deletion(target: Api) -> None:
    """The bindings of the deployed and of the newest version count; those of older versions do not."""
    put(target, script_at("user"), bindings=[SERVICE])
    assert 200 == add(target, "user").status
    assert (400, [10142]) == delete(target, PLACES[0]).refusal  # the first version is deployed

    put(target, script_at("user"))
    made = add(target, "user", {"bindings": [SERVICE]})
    assert (400, [10142]) == delete(target, PLACES[0]).refusal  # the newest version may still be deployed

    assert 200 == made.status
    put(target, script_at("user"))
    assert 200 == delete(target, PLACES[0]).status


def test_unrelated_bindings_do_not_prevent_a_deletion(target: Api) -> None:
    """A script's own bindings, similar names, texts and other accounts' scripts do not prevent a deletion."""
    put(target, script_at("target"), bindings=[SERVICE], tail_consumers=[{"service": "target"}])
    put(target, script_at("target-2"))
    put(target, script_at("user"), bindings=[
        SERVICE | {"service": "target-2"},
        {"type": "plain_text", "name": "T", "text": "target"},
        SERVICE | {"name": "GRANTED", "cross_account_grant": "an id"},
        {"type": "durable_object_namespace", "name": "target", "class_name": "target"},
    ])  # fmt: skip

    assert 200 == delete(target, PLACES[0]).status


def test_bindings_of_a_dispatched_script_prevent_a_deletion(target: Api) -> None:
    """A dispatched script needs the scripts outside that it is bound to, not its namesakes in the namespace."""
    put(target, f"{NAMESPACE}/scripts/user", bindings=[SERVICE])
    put(target, f"{NAMESPACE}/scripts/target")

    answer = delete(target, PLACES[0])
    assert ((400, [10142]), True) == (answer.refusal, "'customers/user' by its service" in answer.messages[0])
    assert 200 == delete(target, f"{NAMESPACE}/scripts/target").status

    put(target, f"{NAMESPACE}/scripts/object")
    inside = BINDINGS[1] | {"script_name": "object", "dispatch_namespace": "customers"}
    put(target, script_at("outer"), bindings=[inside])
    assert (400, [10142]) == delete(target, f"{NAMESPACE}/scripts/object").refusal
    assert (400, [10142]) == delete(target, f"{AT}/dispatch/namespaces/customers/scripts", "?tags=a:no").refusal
    assert 200 == delete(target, f"{NAMESPACE}/scripts/object", "?force=true").status


def test_a_missing_script_gets_404_even_while_others_name_it(target: Api) -> None:
    """A missing script gets 404 / 10007, even while others name it, because clients act on this code."""
    put(target, script_at("user"), bindings=[SERVICE])
    assert 200 == delete(target, PLACES[0], "?force=true").status

    assert (404, [10007]) == delete(target, PLACES[0]).refusal


def test_a_deletion_refusal_names_only_readable_scripts(target: Api) -> None:
    """A refusal names the scripts that the caller may read, and counts the others."""
    for name in ("user-a", "hidden"):
        put(target, script_at(name), bindings=[SERVICE])
    secret = new_token()
    keep(target, row(secret, policies_on("target", "user-*")))

    answer = delete(target, PLACES[0], headers=[(b"authorization", b"Bearer " + secret.encode())])

    assert (400, [10142]) == answer.refusal
    assert "'user-a' by its service binding 'S', 1 more" in answer.messages[0]
    assert "hidden" not in answer.messages[0]


@pytest.fixture
def tagged(target: Api) -> Api:
    """Return an API with four dispatched scripts, three of them tagged."""
    for name, tags in (("a", ["one", "free"]), ("b", ["one"]), ("c", ["two"]), ("d", [])):
        put(target, f"{NAMESPACE}/scripts/{name}", tags=tags)
    return target


def names(api: Api) -> list[str]:
    """Return the names of the scripts in the namespace."""
    return [script["id"] for script in api.send("GET", f"{NAMESPACE}/scripts").result]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("?tags=one:yes", ["c", "d"]),
        ("?tags=one%3Atrue,free:false", ["a", "c", "d"]),
        ("?tags=one:no,two:no", ["a", "b", "c"]),
        ("?tags=none:yes", ["a", "b", "c", "d"]),
    ],
)
def test_scripts_are_deleted_by_their_tags(tagged: Api, query: str, left: list[str]) -> None:
    """Scripts that match the tags are deleted, and the answer names them."""
    before = names(tagged)

    deleted = delete(tagged, f"{NAMESPACE}/scripts", query).result

    assert left == names(tagged)
    expected = [name for name in before if name not in left]
    assert {"deleted": expected, "deleted_count": len(expected), "has_more": False} == deleted


def test_a_deletion_by_tags_may_be_limited(tagged: Api) -> None:
    """A limit is the largest number of scripts to delete; the answer says whether more match."""
    first, second = (delete(tagged, f"{NAMESPACE}/scripts", "?tags=one:yes&limit=1").result for _ in range(2))

    assert [(["a"], True), (["b"], False)] == [(result["deleted"], result["has_more"]) for result in (first, second)]


@pytest.mark.parametrize("query", ["", "?tags=", "?tag=one:yes", "?tags=one", "?tags=one:yes&limit=0"])
def test_a_deletion_without_valid_tags_is_refused(tagged: Api, query: str) -> None:
    """A query without valid tags is refused and deletes no script."""
    assert (400, [10021]) == delete(tagged, f"{NAMESPACE}/scripts", query).refusal
    assert ["a", "b", "c", "d"] == names(tagged)


def test_a_deletion_by_tags_spares_denied_scripts(tagged: Api) -> None:
    """A script that a policy denies to the caller is not deleted."""
    secret = new_token()
    everything = allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS)
    one_denied = replace(allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["customers/a"]), effect="deny")
    keep(tagged, row(secret, encode_policies([everything, one_denied])))

    answer = delete(
        tagged, f"{NAMESPACE}/scripts", "?tags=one:yes", [(b"authorization", b"Bearer " + secret.encode())]
    )

    assert (200, ["b"]) == (answer.status, answer.result["deleted"])
    assert ["a", "c", "d"] == names(tagged)


@pytest.mark.parametrize(
    ("wanted", "has"),
    [
        ("one:yes", True),
        ("one:yes,free:yes", True),
        ("one:yes,free:no", False),
        ("two:true", False),
        ("two:false", True),
    ],
)
def test_a_scripts_tags_can_be_listed_and_matched(tagged: Api, wanted: str, has: bool) -> None:  # noqa: FBT001 - a case
    """With a filter the answer says whether the script matches; without one it lists the tags."""
    at = f"{NAMESPACE}/scripts/a/tags"

    assert has is tagged.send("GET", f"{at}?tags={wanted}").result
    assert ["one", "free"] == tagged.send("GET", at).result
    assert (400, [10021]) == tagged.send("GET", f"{at}?tags=one").refusal


def test_an_empty_object_as_a_deletions_body_is_ignored(target: Api) -> None:
    """A deletion may have the body `{}`, which the specification asks for and some clients send."""
    body = json.dumps({}).encode()

    assert 200 == target.send("DELETE", PLACES[0], body, [(b"content-type", b"application/json")]).status
