"""`secrets-bulk`: RFC 7396 in both content types, all or nothing, one version for each patch."""

import json

import pytest
from tests.clients.tokens import in_store
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Wire, text
from tests.server import ACCOUNT, Server

from nightsafe.store.scripts import ScriptRef, Version

BOTH_CONTENT_TYPES = pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH], ids=["json", "merge-patch"])


def versions(server: Server, script: str) -> list[Version]:
    """Return every version of a script, newest first."""
    return in_store(server.safe, lambda store: store.versions(ScriptRef(ACCOUNT, script)))


def shown(*names: str) -> dict[str, object]:
    """Return the answer to a patch after which a script has these secret_texts."""
    return {name: {"name": name, "type": "secret_text"} for name in names}


@BOTH_CONTENT_TYPES
def test_a_patch_sets_deletes_and_keeps_secrets(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str]
) -> None:
    """An object sets, null deletes, other secrets stay; the answer has all secrets, and one version is made."""
    for name in ("kept", "changed", "dropped"):
        wire.put(script, name)
    before = len(versions(server, script))

    patch = {"new": {"name": "new", **text("x")}, "changed": text("y"), "dropped": None, "never-there": None}
    answer = wire.patch(script, patch, content_type)

    assert answer.result == shown("changed", "kept", "new")
    assert wire.names(script) == ["changed", "kept", "new"]
    assert len(versions(server, script)) == before + 1


@BOTH_CONTENT_TYPES
@pytest.mark.parametrize(
    "body", [{"secrets": {}}, {"secrets": {}, "version_tags": {}}, {"secrets": {}, "version_tags": {"a": "b"}}]
)
def test_a_patch_without_changes_makes_no_version(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str], body: dict[str, object]
) -> None:
    """A patch without changes returns the secrets and creates no version."""
    wire.put(script, "kept")

    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", body, content_type)

    assert answer.result == shown("kept")
    assert len(versions(server, script)) == 2


@BOTH_CONTENT_TYPES
@pytest.mark.parametrize("body", [{}, {"version_tags": {"a": "b"}}, {"A": {"type": "secret_text", "text": "x"}}])
def test_a_patch_without_the_member_secrets_is_refused(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str], body: dict[str, object]
) -> None:
    """A patch without the member `secrets` is refused; a 200 would hide that it sets nothing."""
    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", body, content_type)

    assert ((400, [10021]), ["/secrets"]) == (answer.refusal, answer.pointers)
    assert [] == wire.names(script)
    assert len(versions(server, script)) == 1


@BOTH_CONTENT_TYPES
def test_null_for_a_missing_secret_is_not_an_error(wire: Wire, script: str, content_type: tuple[str, str]) -> None:
    """A null for a missing name is not an error."""
    assert wire.patch(script, {"never-there": None}, content_type).result == {}


def test_null_for_a_variable_is_refused(wire: Wire, script: str) -> None:
    """A null for a variable is refused with its kind and leaves the variable alone."""
    variable = {"type": "plain_text", "name": "VAR", "text": "x"}
    wire.upload(script, variable)

    answer = wire.patch(script, {"VAR": None})

    assert ((404, [10056]), ["/secrets/VAR"]) == (answer.refusal, answer.pointers)
    assert answer.messages[0].endswith("It is the name of a plain_text binding.")
    assert wire.ask("GET", f"{SCRIPTS}/{script}/settings").result["bindings"] == [variable]


@BOTH_CONTENT_TYPES
def test_a_patch_is_all_or_nothing(wire: Wire, server: Server, script: str, content_type: tuple[str, str]) -> None:
    """One invalid item refuses the whole patch; each invalid item has an error, in order, with a pointer."""
    wire.put(script, "kept")
    before = len(versions(server, script))
    bad: dict[str, object] = {
        "good": text("x"),
        "kept": None,
        "no/kind": {"text": "x"},
        "too~large": text("x" * 5121),
        "number": {"type": "secret_text", "text": 1},
        "renamed": {"name": "other", **text("x")},
        "list": [],
        "": text("x"),
        "x" * 2713: text("x"),
        "key": {"type": "secret_key", "format": "raw", "usages": [], "algorithm": {"name": "HMAC"}},
    }

    answer = wire.patch(script, bad, content_type)

    assert answer.refusal == (400, [10021, 10054, 10021, 10021, 10021, 10052, 10100, 10021])
    assert answer.pointers == [
        "/secrets/no~1kind/type",
        "/secrets/too~0large/text",
        "/secrets/number/text",
        "/secrets/renamed/name",
        "/secrets/list",
        "/secrets//name",
        f"/secrets/{'x' * 2713}/name",
        "/secrets/key/key_base64",
    ]
    assert wire.names(script) == ["kept"]
    assert len(versions(server, script)) == before


@pytest.mark.parametrize(
    "body",
    [
        {"secrets": None},
        {"secrets": []},
        {"secrets": "a"},
        {"version_tags": []},
        {"version_tags": 1},
        {"version_tags": {"a": "x" * 9000}},
        {"secrets": {"a": True}},
        {"secrets": {"a": "text"}},
    ],
)
def test_members_of_the_wrong_type_are_refused(wire: Wire, script: str, body: object) -> None:
    """A member of the wrong type gives 400 with 10021, and nothing is written."""
    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", {"secrets": {"b": text("x")}, **body})  # type: ignore[dict-item]

    assert answer.refusal == (400, [10021])
    assert answer.pointers[0] is not None
    assert wire.names(script) == []


@BOTH_CONTENT_TYPES
def test_version_tags_are_stored_with_their_version(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str]
) -> None:
    """Tags are stored with the version that the patch creates, and with no other."""
    tags = {"release": "2026.11", "ünï": {"deep": [1, None]}}
    wire.patch(script, {"a": text("x")}, content_type, version_tags=tags)
    wire.put(script, "b")

    annotations = [json.loads(version.annotations) for version in versions(server, script)]

    assert annotations == [{}, {"version_tags": tags}, {}]


def test_every_write_is_one_version(wire: Wire, server: Server, script: str) -> None:
    """Put, delete and patch create and deploy one version each, numbered in sequence, with author and trigger."""
    wire.put(script, "a")
    wire.put(script, "a")
    wire.patch(script, {"a": None, "b": text("x"), "c": text("x")})
    wire.ask("DELETE", f"{SCRIPTS}/{script}/secrets/b")
    wire.ask("DELETE", f"{SCRIPTS}/{script}/secrets/b")

    made = versions(server, script)
    deployments = in_store(server.safe, lambda store: store.deployments(ScriptRef(ACCOUNT, script)))

    assert [version.number for version in made] == [5, 4, 3, 2, 1]
    assert [version.triggered_by for version in made] == ["secret"] * 4 + ["upload"]
    assert {version.author_email for version in made} == {server.safe.email}
    assert [deployment.versions for deployment in deployments] == [((version.id, 100.0),) for version in made]
