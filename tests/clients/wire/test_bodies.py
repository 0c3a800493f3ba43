"""Bodies of requests: sizes, types, encodings, and bodies that the server does not read."""

import json
import socket

import pytest
from tests.clients.wire.talk import JSON, MERGE_PATCH, SCRIPTS, Wire, form
from tests.server import Server

MIB = 1024 * 1024
SECRET = b'{"name":"mine","text":"a value","type":"secret_text"}'


@pytest.mark.parametrize("size", [100, 64 * 1024, MIB, 5 * MIB])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/secrets/", 404),
        ("POST", "/secrets", 405),
        ("PUT", "/secrets", 400),
        ("PUT", "", 400),
        ("PATCH", "/secrets-bulk", 400),
    ],
)
def test_a_refusal_reaches_a_client_that_still_sends(
    wire: Wire, method: str, path: str, status: int, size: int
) -> None:
    """A refusal arrives while the client still sends the body, and the connection stays usable."""
    for _ in range(10):
        answer = wire.ask(method, f"{SCRIPTS}/any{path}", bytes(size), [JSON], credentials=())
        assert status == answer.status
        assert not answer.envelope["success"]
    assert wire.connections == 1


def test_a_body_up_to_the_limit_is_read(wire: Wire, script: str) -> None:
    """2 MiB of JSON are accepted; one byte more gives 413, and the connection stays usable."""
    padded = SECRET.ljust(2 * MIB)

    assert wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", padded, [JSON]).status == 200
    for method, path in (("PUT", "secrets"), ("PATCH", "secrets-bulk")):
        answer = wire.ask(method, f"{SCRIPTS}/{script}/{path}", padded + b" ", [JSON])
        assert answer.refusal == (413, [10026])
        assert "2097152" in answer.messages[0]
    assert wire.connections == 1


def test_an_upload_up_to_the_limit_is_read(wire: Wire, absent_script: str) -> None:
    """An upload of 64 MiB is accepted; one byte more gives 413 with 10027 and creates no script."""
    target = f"{SCRIPTS}/{absent_script}"
    metadata = {"metadata": b'{"main_module":"worker.js"}'}
    content_type, empty = form(metadata, b"")
    module = b"/" * (64 * MIB - len(empty))
    headers = [("Content-Type", content_type)]

    too_large = wire.ask("PUT", target, form(metadata, module + b"/")[1], headers)
    assert (413, [10027]) == too_large.refusal
    assert wire.ask("GET", f"{target}/secrets").refusal == (404, [10007])
    assert wire.ask("PUT", target, form(metadata, module)[1], headers).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "json",
    ],
)
def test_a_body_of_another_type_is_refused(wire: Wire, script: str, content_type: str) -> None:
    """A body with another type than JSON gives 400 with 10001, and nothing is written."""
    for method, path in (("PUT", "secrets"), ("PATCH", "secrets-bulk")):
        answer = wire.ask(method, f"{SCRIPTS}/{script}/{path}", SECRET, [("Content-Type", content_type)])
        assert answer.refusal == (400, [10001])
    assert [] == wire.names(script)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;x=y", " application/json "],
)
def test_parameters_and_case_of_the_json_type_are_ignored(wire: Wire, script: str, content_type: str) -> None:
    """Parameters, case and spaces of the type make no difference."""
    answer = wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET, [("Content-Type", content_type)])

    assert answer.status == 200


def test_a_body_without_a_type_is_json(wire: Wire, script: str) -> None:
    """A body without a Content-Type is read as JSON."""
    assert wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET).status == 200


def test_the_merge_patch_type_is_for_patch_only(wire: Wire, script: str) -> None:
    """`application/merge-patch+json` is accepted for PATCH only."""
    assert wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET, [MERGE_PATCH]).refusal == (400, [10001])
    assert wire.ask("PATCH", f"{SCRIPTS}/{script}/secrets-bulk", b'{"secrets":{}}', [MERGE_PATCH]).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_refused(wire: Wire, script: str, encoding: str) -> None:
    """A compressed body gives 400 with 10001 and is not parsed."""
    headers = [JSON, ("Content-Encoding", encoding)]

    assert wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", SECRET, headers).refusal == (400, [10001])


def test_a_chunked_body_is_read_and_limited(wire: Wire, script: str) -> None:
    """A chunked body is read, with the same limit as any other."""
    target = f"{SCRIPTS}/{script}/secrets"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n"

    assert wire.chunked("PUT", target, chunked % (len(SECRET), SECRET)).status == 200
    too_large = SECRET.ljust(4 * MIB + 1)
    assert wire.chunked("PUT", target, chunked % (len(too_large), too_large)).refusal == (413, [10026])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{'name':'a'}",
        b'{"name":"a",}',
        b'{"name":"a","name":"b","text":"x","type":"secret_text"}',
        b'\xef\xbb\xbf{"name":"a","text":"x","type":"secret_text"}',
        b'{"name":"\xff","text":"x","type":"secret_text"}',
        b'{"name":"\\ud800","text":"x","type":"secret_text"}',
        b'{"name":"a","text":"x","type":"secret_text","more":NaN}',
        b'{"name":"a","text":"x","type":"secret_text","more":1e999}',
        b'{"name":"a","text":"x","type":"secret_text","more":18446744073709551616}',
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000,
        b'{"a":' * 400_000,
        b'{"name":"a","text":"x","type":"secret_text"} x',
        SECRET.decode().encode("utf-16"),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_invalid_json_is_refused(wire: Wire, script: str, body: bytes) -> None:
    """An invalid JSON body gives 400 with 10026, and nothing is written."""
    for method, path in (("PUT", "secrets"), ("PATCH", "secrets-bulk")):
        assert wire.ask(method, f"{SCRIPTS}/{script}/{path}", body, [JSON]).refusal == (400, [10026])
    assert [] == wire.names(script)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b"true", b"[{}]"])
def test_json_that_is_not_an_object_is_refused(wire: Wire, script: str, body: bytes) -> None:
    """JSON that is not an object gives 400 with 10021."""
    for method, path in (("PUT", "secrets"), ("PATCH", "secrets-bulk")):
        assert wire.ask(method, f"{SCRIPTS}/{script}/{path}", body, [JSON]).refusal == (400, [10021])


def test_json_of_32_levels_is_accepted(wire: Wire, script: str) -> None:
    """JSON with 32 levels is accepted."""
    deep = b'{"name":"a","type":"secret_text","text":"x","more":' + b"[" * 31 + b"]" * 31 + b"}"

    assert wire.ask("PUT", f"{SCRIPTS}/{script}/secrets", deep, [JSON]).status == 200


def test_expect_100_continue_gets_100_or_the_refusal(wire: Wire, script: str) -> None:
    """`Expect: 100-continue` gets its 100 if the body is wanted, or else the refusal at once."""
    target = f"{SCRIPTS}/{script}/secrets"
    expect = [JSON, ("Expect", "100-continue")]
    wire.begin("PUT", target, len(SECRET), expect)
    refused = wire.answer("PUT")

    assert (400, [9106]) == refused.refusal
    assert refused.header("connection") == "close"
    assert wire.ask("PUT", target, SECRET, expect).status == 200


@pytest.mark.parametrize("sent", [b"", b'{"name":"a","te'])
def test_a_body_that_ends_early_is_refused(server: Server, script: str, sent: bytes) -> None:
    """A client that stops sending and still listens gets a refusal in the envelope, and the connection ends."""
    head = f"PUT {SCRIPTS}/{script}/secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.safe.api_token}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 20) as line:
        line.sendall(head.encode() + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n" + sent)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            read = answer.read()

    assert read.startswith(b"HTTP/1.1 400")
    assert b'"code":10026' in read


def test_metadata_over_1_mib_is_refused(wire: Wire) -> None:
    """Metadata of an upload over 1 MiB is refused before it is parsed."""
    metadata = json.dumps({"main_module": "a.js"}).encode().ljust(MIB + 1)
    body = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b"\r\n--b--\r\n"
    answer = wire.ask("PUT", f"{SCRIPTS}/bounded", body, [("Content-Type", "multipart/form-data; boundary=b")])

    assert answer.refusal == (400, [10006])
