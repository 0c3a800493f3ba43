"""Refusals of JSON that is malformed, too large or of the wrong shape; no refusal repeats a value."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import JSON, Api, script_at, secrets_of
from tests.unit.api.tools.mutate import Path as Place
from tests.unit.api.tools.mutate import places

from nightsafe.services.limits import Limits

PUT = ("PUT", secrets_of("worker"))
PATCH = ("PATCH", f"{script_at('worker')}/secrets-bulk")
BOTH = pytest.mark.parametrize(("method", "target"), [PUT, PATCH], ids=["put", "patch"])

TEXT = {"name": "A", "type": "secret_text", "text": f"{values.PLANT}-text"}
RAW = values.key("B")
JWK = values.key("C", "jwk")
SMALL = Limits(max_body_bytes=1000, max_upload_bytes=1000)
HASTY = Limits(body_seconds=0.01)

UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "cut": b'{"name":"A","type":"secret_text","text":"planted-value',
    "two values": b"{} {}",
    "quotes": b"{'name':'A'}",
    "comment": b"{} // planted-value",
    "trailing comma": b'{"name":"A",}',
    "leading zero": b'{"name":01}',
    "raw line break": b'{"name":"planted\nvalue"}',
    "not UTF-8": b'{"name":"A","type":"secret_text","text":"planted-value\xff"}',
    "UTF-8 with BOM": b"\xef\xbb\xbf{}",
    "UTF-16": json.dumps(TEXT).encode("utf-16-le"),
    "UTF-16 with BOM": json.dumps(TEXT).encode("utf-16"),
    "UTF-32 with BOM": json.dumps(TEXT).encode("utf-32"),
    "33 levels": b"[" * 33 + b"]" * 33,
    "33 levels of objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "100,000 levels": b"[" * 100_000,
    "100,000 levels of objects": b'{"":' * 100_000,
    "member twice": b'{"name":"A","name":"B"}',
    "member twice by escape": b'{"name":"A","n\\u0061me":"A"}',
    "member twice, deep": b'{"secrets":{"A":{"a":{"planted-value":1,"planted-value":2}}}}',
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"name":Infinity}',
    "-Infinity": b'{"name":-Infinity}',
    "infinite fraction": b'{"name":1e999}',
    "infinite negative": b'{"name":-1e999}',
    "2^64": b'{"name":18446744073709551616}',
    "below -2^63": b'{"name":-9223372036854775809}',
    "5,000 digits": b'{"name":%b}' % (b"9" * 5000),
    "lone surrogate in a name": b'{"name":"\\ud800","type":"secret_text","text":"planted-value"}',
    "lone surrogate in a value": b'{"name":"A","type":"secret_text","text":"planted-value\\udfff"}',
    "lone surrogate in a member": b'{"name":"A","type":"secret_text","text":"planted-value","\\uDBFF":1}',
    "lone surrogate in a secret's name": b'{"secrets":{"a\\ud83d":null}}',
    "surrogates the wrong way round": b'{"name":"\\ude00\\ud83d"}',
    "encoded surrogate": b'{"name":"\xed\xa0\x80"}',
}


@BOTH
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_malformed_json_is_refused(api: Api, method: str, target: str, body: bytes) -> None:
    """A body that is not exactly one JSON value in UTF-8 is refused with 400 / 10026, without its content."""
    answer = api.send(method, target, body, [JSON])

    assert (400, [10026]) == answer.refusal
    assert not values.holds_plant(answer.body)


@BOTH
@pytest.mark.parametrize("value", [value for value in values.JSON_TYPES.values() if not isinstance(value, dict)])
def test_a_body_other_than_an_object_is_refused(api: Api, method: str, target: str, value: object) -> None:
    """A JSON body other than an object is refused with 400 / 10021 and a pointer to the whole body."""
    answer = api.json(method, target, value)

    assert ((400, [10021]), [""]) == (answer.refusal, answer.pointers)


def test_unknown_members_are_ignored(api: Api) -> None:
    """Unknown members of any type change neither the answer nor the stored secret."""
    more = {f"unknown {number}": value for number, value in enumerate(values.JSON_TYPES.values())}

    for secret in (TEXT, RAW, JWK):
        assert values.shown(secret) == api.put("worker", secret | more).result
    body = {"secrets": {secret["name"]: secret | more for secret in (TEXT, RAW, JWK)}} | more
    assert {"A", "B", "C"} <= set(api.json(*PATCH, body).result)


def test_members_of_the_other_secret_type_are_ignored(api: Api) -> None:
    """Members that belong to the other type of secret are ignored."""
    assert values.shown(TEXT) == api.put("worker", RAW | TEXT).result


@pytest.mark.parametrize(
    ("secret", "place"),
    [
        pytest.param(secret, place, id="/".join(map(str, (secret["name"], *place))))
        for secret in (TEXT, RAW, JWK)
        for place in places(secret)
    ],
)
def test_a_field_of_the_wrong_type_is_pointed_at(api: Api, secret: dict[str, Any], place: Place) -> None:
    """Any value in any field is accepted, or refused with a pointer to it, by PUT and PATCH alike."""
    for kind, sent in values.with_each_type(secret, place).items():
        single = api.put("worker", sent)
        bulk = api.patch("worker", {secret["name"]: sent})
        assert not values.holds_plant(single.body + bulk.body), kind
        if single.status == 200:
            assert sent["name"] == single.result["name"], kind
            assert {"name", "type"} <= set(single.result), kind
            continue
        assert single.status == 400, kind
        assert set(single.codes) <= {10021, 10052}, kind
        assert [f"/{place[0]}"] == [(pointer or "")[: len(str(place[0])) + 1] for pointer in single.pointers], kind
        if place != ("name",):
            assert single.refusal == bulk.refusal, kind
            assert [f"/secrets/{secret['name']}{pointer}" for pointer in single.pointers] == bulk.pointers, kind


@pytest.mark.parametrize(
    ("secrets", "refusal", "pointers"),
    [
        ({"A": {"type": "secret_text", "text": "x"}}, None, None),
        ({"A": {"name": "B", "type": "secret_text", "text": "x"}}, (400, [10021]), ["/secrets/A/name"]),
        ({"": {"type": "secret_text", "text": "x"}}, (400, [10052]), ["/secrets//name"]),
        ({"": None}, None, None),
        ({"~/": 1, "b": []}, (400, [10021, 10021]), ["/secrets/~0~1", "/secrets/b"]),
        (None, (400, [10021]), ["/secrets"]),
        ([], (400, [10021]), ["/secrets"]),
        ("x", (400, [10021]), ["/secrets"]),
    ],
)
def test_a_patch_refusal_points_at_each_bad_secret(
    api: Api, secrets: object, refusal: object, pointers: list[str] | None
) -> None:
    """A secret's name may stand in its member alone; each refusal points at its own secret."""
    answer = api.patch("worker", secrets)

    if refusal is None:
        assert answer.status == 200
    else:
        assert (refusal, pointers) == (answer.refusal, answer.pointers)


@pytest.mark.parametrize("tags", [value for value in values.JSON_TYPES.values() if not isinstance(value, dict)])
def test_version_tags_other_than_an_object_are_refused(api: Api, tags: object) -> None:
    """Version tags other than an object are refused."""
    answer = api.json(*PATCH, {"secrets": {}, "version_tags": tags})

    assert ((400, [10021]), ["/version_tags"]) == (answer.refusal, answer.pointers)


def test_version_tags_over_the_limit_are_refused(api: Api) -> None:
    """Version tags over the limit are refused, and no secret of the request is stored."""
    answer = api.json(*PATCH, {"secrets": {"D": TEXT | {"name": "D"}}, "version_tags": {"k": "x" * 9000}})

    assert ((400, [10021]), ["/version_tags"]) == (answer.refusal, answer.pointers)
    assert api.send("GET", f"{secrets_of('worker')}/D").status == 404


def test_a_patch_has_at_most_a_hundred_operations(own_api: Api) -> None:
    """A patch of 100 secrets is accepted; one of 101 is refused and stores none."""
    own_api.upload("worker")
    assert (400, [100160]) == own_api.patch("worker", {f"N{at}": values.text(f"N{at}") for at in range(101)}).refusal
    assert [] == own_api.send("GET", secrets_of("worker")).result
    assert len(own_api.patch("worker", {f"N{at}": values.text(f"N{at}") for at in range(100)}).result) == 100


@pytest.mark.parametrize(
    ("secret", "refusal"),
    [
        ({"text": "x" * 5120}, None),
        ({"text": "x" * 5121}, (400, [10054])),
        ({"text": "é" * 2561}, (400, [10054])),
        ({"text": ""}, None),
        ({"name": "n" * 2712}, None),
        ({"name": "n" * 2713}, (400, [10100])),
        ({"name": "é" * 1357}, (400, [10100])),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_names_and_values_are_bounded_in_bytes(api: Api, secret: dict[str, str], refusal: object) -> None:
    """Values of up to 5,120 bytes of UTF-8 and names of up to 2,712 are accepted."""
    answer = api.put("worker", TEXT | secret)

    assert refusal == (None if answer.status == 200 else answer.refusal)


OVERSIZED = {
    "at once": [b"x" * 1001],
    "byte by byte": [b"x"] * 1001,
    "with empty parts": [b"", b"x" * 1000, b"", b"x", b""],
    "much more": [b"x" * 1000] * 1000,
}


@BOTH
@pytest.mark.parametrize("parts", OVERSIZED.values(), ids=OVERSIZED)
@pytest.mark.parametrize("claim", [None, b"0", b"5", b"999999999999999999999", b"-1", b"five"])
def test_a_body_past_the_limit_is_refused(
    tmp_path: Path, method: str, target: str, parts: list[bytes], claim: bytes | None
) -> None:
    """The bytes of a body are counted as they arrive, without regard to its Content-Length."""
    with Api(tmp_path, SMALL) as api:
        claims = [] if claim is None else [(b"content-length", claim)]
        assert (413, [10026]) == api.send(method, target, parts, [JSON, *claims]).refusal
        assert (400, [10026]) == api.send(method, target, [b"x" * 999, b"", b"x"], [JSON, *claims]).refusal


@BOTH
def test_a_body_that_ends_early_is_refused(api: Api, method: str, target: str) -> None:
    """A body that the client cuts off is refused, and nothing of it is stored."""
    body = json.dumps(TEXT | {"name": "gone", "secrets": {"gone": TEXT | {"name": "gone"}}}).encode()

    for sent in (body[:20], body):
        answer = api.send(method, target, [sent], [JSON], cut=True)
        assert ((400, [10026]), b"close") == (answer.refusal, answer.header(b"connection"))
    assert api.send("GET", f"{secrets_of('worker')}/gone").status == 404


@BOTH
def test_a_body_that_stalls_gets_408(tmp_path: Path, method: str, target: str) -> None:
    """A body that stalls for longer than allowed gets 408, and the connection is closed."""
    with Api(tmp_path, HASTY) as api:
        answer = api.send(method, target, [b'{"name":'], [JSON], silent=True)

    assert (408, [10026]) == answer.refusal
    assert answer.header(b"connection") == b"close"


WRONG_TYPES = (
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"application/jsonx",
    b"application/json-patch+json",
    b"json",
    b"application/json, application/json",
    b"\xff\xfe",
)


@BOTH
@pytest.mark.parametrize("content_type", WRONG_TYPES)
def test_a_type_other_than_json_is_refused(api: Api, method: str, target: str, content_type: bytes) -> None:
    """A content type other than JSON is refused."""
    answer = api.send(method, target, json.dumps(TEXT).encode(), [(b"content-type", content_type)])

    assert (400, [10001]) == answer.refusal


@pytest.mark.parametrize(
    ("headers", "puts"),
    [
        ([], True),
        ([(b"content-type", b"")], True),
        ([(b"content-type", b"application/json; charset=utf-8")], True),
        ([(b"content-type", b" APPLICATION/JSON ;x")], True),
        ([(b"content-type", b"application/merge-patch+json")], False),
    ],
)
def test_json_content_types_are_accepted(api: Api, headers: list[tuple[bytes, bytes]], puts: bool) -> None:  # noqa: FBT001
    """A missing content type counts as JSON, and PATCH also accepts a merge patch."""
    assert (200 if puts else 400) == api.send(*PUT, json.dumps(TEXT).encode(), headers).status
    assert api.send(*PATCH, json.dumps({"secrets": {"A": TEXT}}).encode(), headers).status == 200


@BOTH
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"identity, gzip", b"GZIP", b""])
def test_a_compressed_body_is_refused(api: Api, method: str, target: str, encoding: bytes) -> None:
    """A body with a content encoding is refused."""
    answer = api.send(method, target, json.dumps(TEXT).encode(), [JSON, (b"content-encoding", encoding)])

    assert (400, [10001]) == answer.refusal


def test_the_identity_encoding_is_accepted(api: Api) -> None:
    """The content encoding `identity` is accepted, in any case."""
    assert api.send(*PUT, json.dumps(TEXT).encode(), [JSON, (b"content-encoding", b"Identity")]).status == 200
