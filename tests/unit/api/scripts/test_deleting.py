"""Deleting scripts: not while others need them, unless by force; and many at once by their tags."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.tokens import keep, policies_on, row
from tests.unit.api.tools.uploads import add, metadata

from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allowing, encode_policies

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
    """An API with a script `target` and a dispatch namespace."""
    put(own_api, script_at("target"))
    assert 200 == own_api.json("POST", f"{AT}/dispatch/namespaces", {"name": "customers"}).status
    return own_api


def delete(api: Api, path: str, query: str = "", headers: Any = ()) -> Answer:
    """Delete something."""
    return api.send("DELETE", f"{path}{query}", b"", headers, anonymous=bool(headers))


@pytest.mark.parametrize("binding", BINDINGS)
def test_what_others_are_bound_to_is_not_deleted(target: Api, binding: dict[str, Any]) -> None:
    """By whichever path, 400 with 10142 and the names; with `force=true` it goes, and they stay."""
    put(target, script_at("user"), bindings=[binding])

    for place in PLACES:
        for query in ("", "?force=false"):
            answer = delete(target, place, query)
            assert (400, [10142]) == answer.refusal
            assert f"'user' by its {binding['type']} binding '{binding['name']}'" in answer.messages[0]
            assert "?force=true" in answer.messages[0]
    assert 200 == delete(target, PLACES[0], "?force=true").status
    assert [binding["name"]] == [one["name"] for one in target.send("GET", f"{script_at('user')}/bindings").result]


def test_what_too_many_name_is_not_deleted(target: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bindings are looked at and no more: when none of these needs it, others may. By force it goes."""
    monkeypatch.setattr("nightsafe.services.scripts.references.MOST_POINTING", 2)
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
def test_a_tail_consumer_is_not_deleted(target: Api, member: str) -> None:
    """Until nobody sends it their tail."""
    put(target, script_at("producer"), **{member: [{"service": "target"}]})

    answer = delete(target, PLACES[0])
    assert ((400, [10142]), True) == (answer.refusal, "'producer' as its tail consumer" in answer.messages[0])
    put(target, script_at("producer"), **{member: []})
    assert 200 == delete(target, PLACES[0]).status


def test_what_is_served_counts_and_what_was_does_not(target: Api) -> None:
    """An older version that is served needs the script, and so does a newer one that is not; what was does not."""
    put(target, script_at("user"), bindings=[SERVICE])
    assert 200 == add(target, "user").status
    assert (400, [10142]) == delete(target, PLACES[0]).refusal  # the first version is served

    put(target, script_at("user"))
    made = add(target, "user", {"bindings": [SERVICE]})
    assert (400, [10142]) == delete(target, PLACES[0]).refusal  # somebody may deploy the newest

    assert 200 == made.status
    put(target, script_at("user"))
    assert 200 == delete(target, PLACES[0]).status


def test_who_is_bound_to_something_else_keeps_nothing(target: Api) -> None:
    """Its own bindings, one to a script whose name is alike, a text of that name, another account's script."""
    put(target, script_at("target"), bindings=[SERVICE], tail_consumers=[{"service": "target"}])
    put(target, script_at("target-2"))
    put(target, script_at("user"), bindings=[
        SERVICE | {"service": "target-2"},
        {"type": "plain_text", "name": "T", "text": "target"},
        SERVICE | {"name": "GRANTED", "cross_account_grant": "an id"},
        {"type": "durable_object_namespace", "name": "target", "class_name": "target"},
    ])  # fmt: skip

    assert 200 == delete(target, PLACES[0]).status


def test_a_script_in_a_namespace_needs_others_too(target: Api) -> None:
    """It is bound to scripts outside; one of its own name inside is another script."""
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


def test_what_is_not_there_is_not_needed(target: Api) -> None:
    """404 / 10007 comes first, for clients act on it, also while others still name the script."""
    put(target, script_at("user"), bindings=[SERVICE])
    assert 200 == delete(target, PLACES[0], "?force=true").status

    assert (404, [10007]) == delete(target, PLACES[0]).refusal


def test_a_caller_is_told_only_of_what_they_may_know(target: Api) -> None:
    """Others are counted: the script is needed all the same."""
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
    """Four scripts of customers, with tags."""
    for name, tags in (("a", ["one", "free"]), ("b", ["one"]), ("c", ["two"]), ("d", [])):
        put(target, f"{NAMESPACE}/scripts/{name}", tags=tags)
    return target


def names(api: Api) -> list[str]:
    """The scripts in the namespace."""
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
    """Those that match, and what goes is told."""
    before = names(tagged)

    gone = delete(tagged, f"{NAMESPACE}/scripts", query).result

    assert left == names(tagged)
    expected = [name for name in before if name not in left]
    assert {"deleted": expected, "deleted_count": len(expected), "has_more": False} == gone


def test_a_deletion_may_be_limited(tagged: Api) -> None:
    """So many at a time, and whether there are more."""
    first, second = (delete(tagged, f"{NAMESPACE}/scripts", "?tags=one:yes&limit=1").result for _ in range(2))

    assert [(["a"], True), (["b"], False)] == [(one["deleted"], one["has_more"]) for one in (first, second)]


@pytest.mark.parametrize("query", ["", "?tags=", "?tag=one:yes", "?tags=one", "?tags=one:yes&limit=0"])
def test_nothing_is_deleted_by_no_tags(tagged: Api, query: str) -> None:
    """A query that is forgotten or misspelt does not delete every script there is."""
    assert (400, [10021]) == delete(tagged, f"{NAMESPACE}/scripts", query).refusal
    assert ["a", "b", "c", "d"] == names(tagged)


def test_only_what_the_caller_may_delete_goes(tagged: Api) -> None:
    """What a policy denies does not match."""
    secret = new_token()
    everything = allowing(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS)
    but_one = replace(allowing(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["customers/a"]), effect="deny")
    keep(tagged, row(secret, encode_policies([everything, but_one])))

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
def test_a_script_is_asked_for_its_tags(tagged: Api, wanted: str, has: bool) -> None:  # noqa: FBT001 - a case
    """With a filter the answer is whether it has them; without one, which it has."""
    at = f"{NAMESPACE}/scripts/a/tags"

    assert has is tagged.send("GET", f"{at}?tags={wanted}").result
    assert ["one", "free"] == tagged.send("GET", at).result
    assert (400, [10021]) == tagged.send("GET", f"{at}?tags=one").refusal


def test_the_body_of_the_sdks_is_passed_over(target: Api) -> None:
    """The specification asks for one, `{}`, and clients send it or not."""
    body = json.dumps({}).encode()

    assert 200 == target.send("DELETE", PLACES[0], body, [(b"content-type", b"application/json")]).status
