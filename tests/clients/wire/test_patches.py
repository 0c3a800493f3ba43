"""`secrets-bulk`: RFC 7396 in both content types, all or nothing, one version."""

import json

import pytest
from tests.clients.tokens import in_store
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Wire, text
from tests.server import ACCOUNT, Server

from nightsafe.store.scripts import ScriptRef, Version

BOTH = pytest.mark.parametrize("content_type", [JSON, MERGE_PATCH], ids=["json", "merge-patch"])


def versions(server: Server, script: str) -> list[Version]:
    """Every version of a script, newest first."""
    return in_store(server.safe, lambda store: store.versions(ScriptRef(ACCOUNT, script)))


def shown(*names: str) -> dict[str, object]:
    """What a patch answers when a script then has these secret_texts."""
    return {name: {"name": name, "type": "secret_text"} for name in names}


@BOTH
def test_a_merge_patch(wire: Wire, server: Server, script: str, content_type: tuple[str, str]) -> None:
    """An object sets, null drops, what is absent stays; the answer is all there is then; it is one version."""
    for name in ("kept", "changed", "dropped"):
        wire.put(script, name)
    before = len(versions(server, script))

    patch = {"new": {"name": "new", **text("x")}, "changed": text("y"), "dropped": None, "never-there": None}
    answer = wire.patch(script, patch, content_type)

    assert answer.result == shown("changed", "kept", "new")
    assert wire.names(script) == ["changed", "kept", "new"]
    assert len(versions(server, script)) == before + 1


@BOTH
@pytest.mark.parametrize(
    "body", [{"secrets": {}}, {"secrets": {}, "version_tags": {}}, {"secrets": {}, "version_tags": {"a": "b"}}]
)
def test_a_patch_of_nothing(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str], body: dict[str, object]
) -> None:
    """It answers what there is, and makes no version."""
    wire.put(script, "kept")

    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", body, content_type)

    assert answer.result == shown("kept")
    assert len(versions(server, script)) == 2


@BOTH
@pytest.mark.parametrize("body", [{}, {"version_tags": {"a": "b"}}, {"A": {"type": "secret_text", "text": "x"}}])
def test_a_patch_without_secrets(
    wire: Wire, server: Server, script: str, content_type: tuple[str, str], body: dict[str, object]
) -> None:
    """Whoever forgets the member is told so, instead of a 200 that sets nothing."""
    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", body, content_type)

    assert ((400, [10021]), ["/secrets"]) == (answer.refusal, answer.pointers)
    assert [] == wire.names(script)
    assert len(versions(server, script)) == 1


@BOTH
def test_null_for_a_name_that_is_not_there(wire: Wire, script: str, content_type: tuple[str, str]) -> None:
    """It is no error: the name is not there afterwards either."""
    assert wire.patch(script, {"never-there": None}, content_type).result == {}


def test_null_for_a_variable(wire: Wire, script: str) -> None:
    """A variable is no secret: null for its name is refused, with its kind, and leaves it alone."""
    variable = {"type": "plain_text", "name": "VAR", "text": "x"}
    wire.upload(script, variable)

    answer = wire.patch(script, {"VAR": None})

    assert ((404, [10056]), ["/secrets/VAR"]) == (answer.refusal, answer.pointers)
    assert answer.messages[0].endswith("It is the name of a plain_text binding.")
    assert wire.ask("GET", f"{SCRIPTS}/{script}/settings").result["bindings"] == [variable]


@BOTH
def test_all_or_nothing(wire: Wire, server: Server, script: str, content_type: tuple[str, str]) -> None:
    """One bad item and nothing changes; there is one error for each bad item, in their order, with its place."""
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
def test_members_of_the_wrong_type(wire: Wire, script: str, body: object) -> None:
    """They are 400 with 10021, and nothing is written."""
    answer = wire.send("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", {"secrets": {"b": text("x")}, **body})  # type: ignore[dict-item]

    assert answer.refusal == (400, [10021])
    assert answer.pointers[0] is not None
    assert wire.names(script) == []


@BOTH
def test_version_tags(wire: Wire, server: Server, script: str, content_type: tuple[str, str]) -> None:
    """They are kept with the version that the patch makes, and with no other."""
    tags = {"release": "2026.11", "ünï": {"deep": [1, None]}}
    wire.patch(script, {"a": text("x")}, content_type, version_tags=tags)
    wire.put(script, "b")

    annotations = [json.loads(version.annotations) for version in versions(server, script)]

    assert annotations == [{}, {"version_tags": tags}, {}]


def test_every_write_is_one_version(wire: Wire, server: Server, script: str) -> None:
    """Put, delete and patch make one version each, numbered in turn, deployed at once, by whom and by what."""
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
    assert [one.versions for one in deployments] == [((version.id, 100.0),) for version in made]
