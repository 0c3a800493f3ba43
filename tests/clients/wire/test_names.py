"""Names in a path: split at literal slashes, decoded once, and compared byte by byte."""

from urllib.parse import quote

import pytest
from tests.clients.names import DOTS, NAMES, shortened
from tests.clients.wire.talk import SCRIPTS, Answer, Wire

SDK_SAFE = "!$&'()*+,;=:@"
FLAGS = ("", "?url_encoded=true", "?url_encoded=false", "?url_encoded=%FF&url_encoded", "?x=/secrets/y")


def encoded(name: str) -> list[str]:
    """Return the ways in which clients encode a name in a path: SDKs, wrangler, and lower-case hex digits."""
    strict = quote(name, safe="")
    low = "".join(part.lower() if index % 3 else part for index, part in enumerate(strict.split("%")))
    every_byte = "".join(f"%{byte:02x}" for byte in name.encode())
    return [quote(name, safe=SDK_SAFE), strict, every_byte, low if "%" not in name and strict == low else strict]


def at(script: str, segment: str) -> str:
    """Return the path of a secret."""
    return f"{SCRIPTS}/{script}/secrets/{segment}"


@pytest.mark.parametrize("name", [*NAMES, *DOTS], ids=shortened)
def test_a_name_is_found_by_every_encoding(wire: Wire, script: str, name: str) -> None:
    """A name from a put is listed, and found by each of its encodings, with any `url_encoded`."""
    shown = {"name": name, "type": "secret_text"}
    assert shown == wire.put(script, name).result
    assert [shown] == wire.ask("GET", f"{SCRIPTS}/{script}/secrets").result
    for segment in encoded(name):
        for flag in FLAGS:
            assert shown == wire.ask("GET", at(script, segment) + flag).result


@pytest.mark.parametrize("name", [*NAMES, *DOTS], ids=shortened)
def test_a_name_can_be_deleted_by_every_encoding(wire: Wire, script: str, name: str) -> None:
    """DELETE with every encoding, and a null in a patch, delete exactly the secret of this name."""
    wire.put(script, "other")
    for segment in encoded(name):
        wire.put(script, name)
        assert wire.ask("DELETE", f"{at(script, segment)}?url_encoded=true").result is None
        assert ["other"] == wire.names(script)

    wire.put(script, name)
    assert {"other": {"name": "other", "type": "secret_text"}} == wire.patch(script, {name: None}).result


def test_all_names_are_different_secrets(wire: Wire, script: str) -> None:
    """All names are different secrets, listed in the order of their UTF-8 bytes."""
    names = [*NAMES, *DOTS]
    secrets = {name: {"type": "secret_text", "text": "a value"} for name in names}

    shown = wire.patch(script, secrets).result

    assert sorted(names, key=str.encode) == wire.names(script)
    assert {name: {"name": name, "type": "secret_text"} for name in names} == shown


def test_names_are_not_normalised(wire: Wire, script: str) -> None:
    """An invalid request is refused before the script is looked up, so no client creates a script for it."""
    names = ["e\u0301", "\u00e9", "E\u0301", "\u00c9", "\u00e9 ", " \u00e9", "\u00e9\0"]
    for name in names:
        wire.put(script, name)
    for name in names:
        assert wire.ask("DELETE", at(script, quote(name, safe=""))).status == 200
        assert wire.ask("GET", at(script, quote(name, safe=""))).refusal == (404, [10056])
        names = [other for other in names if other != name]
        assert sorted(names, key=str.encode) == wire.names(script)


def test_a_plus_in_a_path_is_not_a_space(wire: Wire, script: str) -> None:
    """`+` in a path is a plus, not a space, and so is `%2B`."""
    wire.put(script, "a+b")
    wire.put(script, "a b")

    found = [wire.ask("GET", at(script, segment)).result["name"] for segment in ("a+b", "a%2Bb", "a%20b")]

    assert ["a+b", "a+b", "a b"] == found


@pytest.mark.parametrize("segment", ["%ZZ", "100%", "%", "%2", "%%", "%G1", "a%-b", "%u0041"])
def test_a_percent_sign_without_an_escape_is_literal(wire: Wire, script: str, segment: str) -> None:
    """Such a segment is read literally."""
    assert wire.ask("GET", at(script, segment)).refusal == (404, [10056])
    wire.put(script, segment)

    assert segment == wire.ask("GET", at(script, segment)).result["name"]
    assert wire.ask("DELETE", at(script, segment)).status == 200
    assert [] == wire.names(script)


@pytest.mark.parametrize("segment", ["%FF", "%ff", "%C3", "%C3%28", "%ED%A0%80", "%F5%80%80%80", "a%80b", "%C0%AF"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_segment_that_is_not_utf_8_is_refused(wire: Wire, script: str, method: str, segment: str) -> None:
    """The answer is 404 with 7003, and nothing changes."""
    wire.put(script, "kept")

    in_secret = wire.ask(method, at(script, segment))
    in_script = wire.ask(method, at(script + segment, "kept"))

    assert in_secret.refusal == (404, [7003])
    assert in_script.refusal == (404, [7003])
    assert ["kept"] == wire.names(script)


def test_raw_utf_8_in_a_path_is_accepted(wire: Wire, script: str) -> None:
    """Raw bytes above 0x7F in a path are the bytes of the name."""
    wire.put(script, "ünï-☃")

    answer = wire.ask("GET", at(script, "").encode() + "ünï-☃".encode())

    assert answer.result["name"] == "ünï-☃"


def test_dot_segments_are_names(wire: Wire, script: str) -> None:
    """`.` and `..` in a path are names of secrets; no path is resolved."""
    wire.put(script, "kept")
    for segment in ("..", ".", "%2e%2E", "%2E"):
        assert wire.ask("DELETE", f"{at(script, segment)}?url_encoded=true").refusal == (404, [10056])
    assert ["kept"] == wire.names(script)


@pytest.mark.parametrize("target", ["back\\slash", "a b", "tab\tbed", 'a"b<c>', "x\x7f", "\xff\xfe"])
def test_an_invalid_request_target_changes_nothing(wire: Wire, script: str, target: str) -> None:
    """A target that HTTP does not allow gives 400 or is read literally; nothing changes."""
    wire.put(script, "kept")

    answer: Answer = wire.ask("DELETE", at(script, target))

    assert answer.status in {400, 404}
    assert ["kept"] == wire.names(script)
