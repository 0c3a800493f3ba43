"""Names in a path: split at the slashes that were sent, then decoded once, and compared byte by byte."""

from urllib.parse import quote

import pytest
from tests.clients.names import DOTS, NAMES, shortened
from tests.clients.wire.talk import SCRIPTS, Answer, Wire

SDK_SAFE = "!$&'()*+,;=:@"
FLAGS = ("", "?url_encoded=true", "?url_encoded=false", "?url_encoded=%FF&url_encoded", "?x=/secrets/y")


def encoded(name: str) -> list[str]:
    """A name as clients write it in a path: the SDKs, wrangler, and with hex digits in lower case."""
    strict = quote(name, safe="")
    low = "".join(part.lower() if index % 3 else part for index, part in enumerate(strict.split("%")))
    every_byte = "".join(f"%{byte:02x}" for byte in name.encode())
    return [quote(name, safe=SDK_SAFE), strict, every_byte, low if "%" not in name and strict == low else strict]


def at(script: str, segment: str) -> str:
    """The path of a secret."""
    return f"{SCRIPTS}/{script}/secrets/{segment}"


@pytest.mark.parametrize("name", [*NAMES, *DOTS], ids=shortened)
def test_a_name_goes_there_and_back(wire: Wire, script: str, name: str) -> None:
    """Put by body, a name is found in the list and by every encoding of it, whatever `url_encoded` says."""
    shown = {"name": name, "type": "secret_text"}
    assert shown == wire.put(script, name).result
    assert [shown] == wire.ask("GET", f"{SCRIPTS}/{script}/secrets").result
    for segment in encoded(name):
        for flag in FLAGS:
            assert shown == wire.ask("GET", at(script, segment) + flag).result


@pytest.mark.parametrize("name", [*NAMES, *DOTS], ids=shortened)
def test_a_name_can_be_dropped(wire: Wire, script: str, name: str) -> None:
    """DELETE by every encoding, and null in a patch, take away the secret of this name and no other."""
    wire.put(script, "other")
    for segment in encoded(name):
        wire.put(script, name)
        assert wire.ask("DELETE", f"{at(script, segment)}?url_encoded=true").result is None
        assert ["other"] == wire.names(script)

    wire.put(script, name)
    assert {"other": {"name": "other", "type": "secret_text"}} == wire.patch(script, {name: None}).result


def test_all_names_live_side_by_side(wire: Wire, script: str) -> None:
    """No two names are taken for one another; they are listed in the order of their code points' bytes."""
    names = [*NAMES, *DOTS]
    secrets = {name: {"type": "secret_text", "text": "a value"} for name in names}

    shown = wire.patch(script, secrets).result

    assert sorted(names, key=str.encode) == wire.names(script)
    assert {name: {"name": name, "type": "secret_text"} for name in names} == shown


def test_look_alikes_are_apart(wire: Wire, script: str) -> None:
    """No normalisation, no folding of case, no trimming: to drop one leaves the rest."""
    names = ["e\u0301", "\u00e9", "E\u0301", "\u00c9", "\u00e9 ", " \u00e9", "\u00e9\0"]
    for name in names:
        wire.put(script, name)
    for name in names:
        assert wire.ask("DELETE", at(script, quote(name, safe=""))).status == 200
        assert wire.ask("GET", at(script, quote(name, safe=""))).refusal == (404, [10056])
        names = [one for one in names if one != name]
        assert sorted(names, key=str.encode) == wire.names(script)


def test_a_plus_is_a_plus(wire: Wire, script: str) -> None:
    """`+` in a path is no space, and `%2B` is a plus."""
    wire.put(script, "a+b")
    wire.put(script, "a b")

    found = [wire.ask("GET", at(script, segment)).result["name"] for segment in ("a+b", "a%2Bb", "a%20b")]

    assert ["a+b", "a+b", "a b"] == found


@pytest.mark.parametrize("segment", ["%ZZ", "100%", "%", "%2", "%%", "%G1", "a%-b", "%u0041"])
def test_a_percent_sign_that_begins_no_escape_stands_for_itself(wire: Wire, script: str, segment: str) -> None:
    """Such a segment is the name it reads as."""
    assert wire.ask("GET", at(script, segment)).refusal == (404, [10056])
    wire.put(script, segment)

    assert segment == wire.ask("GET", at(script, segment)).result["name"]
    assert wire.ask("DELETE", at(script, segment)).status == 200
    assert [] == wire.names(script)


@pytest.mark.parametrize("segment", ["%FF", "%ff", "%C3", "%C3%28", "%ED%A0%80", "%F5%80%80%80", "a%80b", "%C0%AF"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_segment_that_is_no_utf_8_is_no_name(wire: Wire, script: str, method: str, segment: str) -> None:
    """It is refused as an identifier, and nothing is touched."""
    wire.put(script, "kept")

    in_secret = wire.ask(method, at(script, segment))
    in_script = wire.ask(method, at(script + segment, "kept"))

    assert in_secret.refusal == (404, [7003])
    assert in_script.refusal == (404, [7003])
    assert ["kept"] == wire.names(script)


def test_utf_8_without_escapes_is_read_as_such(wire: Wire, script: str) -> None:
    """Bytes above 0x7F that came raw are the bytes of the name."""
    wire.put(script, "ünï-☃")

    answer = wire.ask("GET", at(script, "").encode() + "ünï-☃".encode())

    assert answer.result["name"] == "ünï-☃"


def test_dots_are_segments_like_others(wire: Wire, script: str) -> None:
    """`.` and `..` in a path are names of secrets; nothing is resolved, merged or deleted above them."""
    wire.put(script, "kept")
    for segment in ("..", ".", "%2e%2E", "%2E"):
        assert wire.ask("DELETE", f"{at(script, segment)}?url_encoded=true").refusal == (404, [10056])
    assert ["kept"] == wire.names(script)


@pytest.mark.parametrize("target", ["back\\slash", "a b", "tab\tbed", 'a"b<c>', "x\x7f", "\xff\xfe"])
def test_what_is_no_request_target_is_refused(wire: Wire, script: str, target: str) -> None:
    """A target that HTTP does not allow gets 400 or reads as the bytes it has; nothing is touched."""
    wire.put(script, "kept")

    answer: Answer = wire.ask("DELETE", at(script, target))

    assert answer.status in {400, 404}
    assert ["kept"] == wire.names(script)
