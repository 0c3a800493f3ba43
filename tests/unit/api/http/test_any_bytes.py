"""Fuzzing: any bytes and headers get an answer in the envelope, never a 5xx, and never a value in it."""

import json
from collections.abc import Callable
from typing import Any

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.api.http.test_bad_forms import CODE, METADATA, WHOLE
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, JSON, OTHER_ACCOUNT, Api, File, form, form_type, script_at
from tests.unit.api.tools.mutate import places, replaced, without

METHODS = st.sampled_from(["GET", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS", "TRACE", "get", "X"])
WORDS = (
    "client", "v4", "accounts", "workers", "scripts", "secrets", "secrets-bulk", "settings", "worker", "A", ".",
    "..", "%2F", "%", "%zz", "%ff", "%00", "+", ";",
)  # fmt: skip
SEGMENTS = st.sampled_from(["", *WORDS, ACCOUNT, ACCOUNT.upper(), OTHER_ACCOUNT]).map(str.encode) | st.binary(
    max_size=6
).map(lambda some: bytes(byte for byte in some if byte > 0x20 and byte not in b"/?\x7f"))
KNOWN = st.sampled_from(
    [f"{script_at('worker')}{rest}" for rest in ("", "/secrets", "/secrets/A", "/secrets-bulk", "/settings")]
    + [script_at("fuzz"), "/client/v4/accounts", "/livez", "/readyz"]
).map(str.encode)
TARGETS = st.one_of(
    KNOWN,
    st.builds(lambda start, segments: start + b"/" + b"/".join(segments), KNOWN, st.lists(SEGMENTS, max_size=3)),
    st.lists(SEGMENTS, max_size=10).map(lambda segments: b"/" + b"/".join(segments)),
)
QUERIES = st.sampled_from([b"", b"?", b"?url_encoded=true", b"?bindings_inherit=strict", b"?%ff=%00&&=;\xff"])
HEADER_NAMES = st.sampled_from([
    b"authorization", b"x-auth-email", b"x-auth-key", b"content-type", b"content-encoding", b"content-length",
    b"expect", b"transfer-encoding", b"user-agent", b"accept", b"host", b"x-forwarded-for", b"cookie",
    b"api-version",
])  # fmt: skip
VALUES = (
    b"application/json", b"application/merge-patch+json", b"multipart/form-data", b"text/javascript", b"gzip",
    b"identity", b"100-continue", b"chunked", b"0", b"-1", b"someone@example.com", b"\xff\xfe",
)  # fmt: skip
HEADER_VALUES = st.sampled_from(
    [b"", b"Bearer x", form_type()[1], b"Bearer " + b"x" * 5000, b"x" * 40, b"Basic eDp4", *VALUES]
) | st.binary(max_size=20).map(lambda some: bytes(byte for byte in some if byte >= 0x20 and byte != 0x7F))
HEADERS = st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=4)

TEXT = values.text("A")
SEEDS = [TEXT, values.key("B"), values.key("C", "jwk"), {"secrets": {"A": TEXT, "B": None}, "version_tags": {"a": 1}}]


def with_bytes_replaced(seed: bytes) -> st.SearchStrategy[bytes]:
    """Return the seed with a stretch of its bytes replaced by other bytes."""

    def replace(at: int, removed: int, new: bytes) -> bytes:
        return seed[:at] + new + seed[at + removed :]

    return st.builds(replace, st.integers(0, len(seed)), st.integers(0, 8), st.binary(max_size=8))


def with_one_place_changed(seeds: list[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Return one of the seeds with any JSON in one place, or without that place."""
    changed = [(seed, place) for seed in seeds for place in places(seed)]
    return st.builds(
        lambda target, new, kept: replaced(target[0], target[1], new) if kept else without(*target),
        st.sampled_from(changed),
        values.any_json(),
        st.integers(0, 3),
    )


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(SEEDS).flatmap(lambda seed: with_bytes_replaced(json.dumps(seed).encode())),
    with_one_place_changed(SEEDS).map(lambda value: json.dumps(value).encode()),
    with_bytes_replaced(WHOLE),
)


def fuzz(most: int) -> Callable[[Any], Any]:
    """Return settings with this many examples and no time limit for each."""
    return settings(max_examples=examples(most), deadline=None)


def check(api: Api, method: str, target: str | bytes, *rest: Any, **options: Any) -> int:
    """Send a request; check that the answer is sound and holds no value, and that only refusals are logged."""
    with structlog.testing.capture_logs() as log:
        answer = api.send(method, target, *rest, **options)
    assert [] == [line for line in log if line["event"] != "refused"]
    assert not values.holds_plant(answer.body + repr((answer.headers, log)).encode())
    return answer.status


@given(METHODS, TARGETS, QUERIES, st.lists(BODIES, max_size=3), HEADERS, st.booleans())
@fuzz(600)
def test_any_request_is_answered(  # noqa: PLR0913, PLR0917 - a request has many sides
    api: Api,
    method: str,
    target: bytes,
    query: bytes,
    body: list[bytes],
    headers: list[tuple[bytes, bytes]],
    anonymous: bool,  # noqa: FBT001 - drawn
) -> None:
    """Any method, path, query, headers and body get a sound answer."""
    check(api, method, target + query, body, headers, anonymous=anonymous)


@given(st.sampled_from([("PUT", "/secrets"), ("PATCH", "/secrets-bulk")]), BODIES)
@fuzz(300)
def test_any_body_is_answered(api: Api, call: tuple[str, str], body: bytes) -> None:
    """Any bytes get a sound answer where JSON is expected."""
    check(api, call[0], script_at("worker") + call[1], body, [JSON])


@given(
    st.sampled_from([("PUT", "/secrets"), ("PATCH", "/secrets-bulk")]),
    values.any_json() | with_one_place_changed(SEEDS),
)
@fuzz(500)
def test_any_json_is_answered(api: Api, call: tuple[str, str], value: object) -> None:
    """Any JSON gets a sound answer where one or several secrets are expected."""
    check(api, call[0], script_at("worker") + call[1], json.dumps(value).encode(), [JSON])


@given(values.any_json() | with_one_place_changed([METADATA]))
@fuzz(400)
def test_any_metadata_is_answered(api: Api, value: object) -> None:
    """Any JSON as the metadata of an upload gets a sound answer, and a script that it makes can be read."""
    body = form(File("metadata", json.dumps(value).encode()), CODE)

    if check(api, "PUT", script_at("fuzz"), body, [form_type()]) == 200:
        for rest in ("", "/settings", "/secrets"):
            assert check(api, "GET", script_at("fuzz") + rest) == 200
        assert check(api, "GET", script_at("")[:-1]) == 200


@given(
    with_bytes_replaced(WHOLE) | st.lists(with_bytes_replaced(WHOLE), max_size=2).map(b"".join), st.integers(1, 400)
)
@fuzz(300)
def test_any_form_is_answered(api: Api, body: bytes, size: int) -> None:
    """Any bytes as a form, in pieces of any size, get a sound answer, and a script that they make can be read."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]

    if check(api, "PUT", script_at("fuzz"), parts, [form_type()]) == 200:
        assert check(api, "GET", script_at("fuzz")) == 200


@given(st.binary(max_size=30) | st.sampled_from([b'; boundary="', b"; boundary=a", b";boundary=x;boundary=y"]))
@fuzz(150)
def test_any_form_type_is_answered(api: Api, rest: bytes) -> None:
    """Any bytes after `multipart/form-data` in the Content-Type get a sound answer."""
    options = bytes(byte for byte in rest if byte >= 0x20 and byte != 0x7F)
    check(api, "PUT", script_at("fuzz"), WHOLE, [(b"content-type", b"multipart/form-data" + options)])
