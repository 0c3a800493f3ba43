"""Malformed uploads: bodies that are not forms, and parts that do not match the metadata."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import BOUNDARY, MODULE, SCRIPTS, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.mutate import Path as Place
from tests.unit.api.tools.mutate import places

from nightsafe.services.limits import Limits

CODE = File("worker.js")
METADATA = {
    "main_module": "worker.js",
    "bindings": [
        values.text("SECRET"),
        values.key("KEY"),
        {"name": "PLAIN", "type": "plain_text", "text": "shown"},
        {"name": "JSON", "type": "json", "json": {"shown": True}},
        {"name": "KV", "type": "kv_namespace", "namespace_id": "0" * 32},
        {"name": "OLD", "type": "inherit", "old_name": "OLDER", "version_id": "latest"},
    ],
    "keep_bindings": ["secret_text", "plain_text"],
    "compatibility_date": "2026-01-01",
    "compatibility_flags": ["nodejs_compat"],
    "annotations": {"workers/message": "a message"},
    "tags": ["a:b"],
    "logpush": False,
    "observability": {"enabled": True},
    "placement": {"mode": "smart"},
    "tail_consumers": [{"service": "s"}],
    "usage_model": "standard",
}


def metadata(value: object = None) -> File:
    """Return the part `metadata`."""
    body = json.dumps(METADATA if value is None else value).encode()
    return File("metadata", body, "application/json", as_file=False)


def upload(api: Api, body: bytes, *headers: tuple[bytes, bytes], script: str = "worker") -> Answer:
    """PUT a form; check that the answer holds no value of its metadata."""
    answer = api.send("PUT", script_at(script), body, headers or [form_type()])
    assert not values.holds_plant(answer.body)
    return answer


WHOLE = form(metadata(), CODE)
PARTS = 1001


def with_part(head: bytes) -> bytes:
    """Return a form with a third part that has these headers."""
    return form(metadata(), CODE, File("odd", head=head))


MALFORMED = {
    "empty": b"",
    "not a form": b"export default {}",
    "JSON": json.dumps(METADATA).encode(),
    "another boundary": form(metadata(), CODE, boundary="another"),
    "boundary in capitals": form(metadata(), CODE, boundary=BOUNDARY.upper()),
    "no parts": f"--{BOUNDARY}--\r\n".encode(),
    "line feeds only": WHOLE.replace(b"\r\n", b"\n"),
    "no metadata": form(CODE),
    "two metadata": form(metadata(), metadata(), CODE),
    "metadata in capitals": form(File("Metadata", b"{}"), CODE),
    "too many parts": form(metadata(), *(File(f"m{at}.js", b"") for at in range(PARTS))),
    "nameless part": with_part(b'Content-Disposition: form-data; filename="a.js"'),
    "no disposition": with_part(b"X-Nothing: here"),
    "attachment": with_part(b'Content-Disposition: attachment; name="a.js"'),
    "empty disposition": with_part(b"Content-Disposition: "),
    "name of RFC 2231": with_part(b"Content-Disposition: form-data; name*=utf-8''a.js"),
    "name that is not UTF-8": with_part(b'Content-Disposition: form-data; name="\xff"'),
    "file name that is not UTF-8": with_part(b'Content-Disposition: form-data; name="a"; filename="\xe9.js"'),
    "header without a colon": with_part(b"Content-Disposition form-data"),
    "header without a name": with_part(b": x"),
    "space in a header's name": with_part(b'Content-Disposition : form-data; name="a"'),
    "lone CR in a header": with_part(b'Content-Disposition: form-data; name="a\rb"'),
    "lone LF in a header": with_part(b'Content-Disposition: form-data; name="a"\nX-Injected: 1'),
    "NUL in a header": with_part(b'Content-Disposition: form-data; name="a\0"'),
    "100,000 bytes of header": with_part(b'Content-Disposition: form-data; name="%b"' % (b"a" * 100_000)),
    "many headers": with_part(b"X: y\r\n" * 1000 + b'Content-Disposition: form-data; name="a"'),
}


NO_METADATA = {MALFORMED[name] for name in ("no parts", "no metadata", "metadata in capitals")}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_form_is_refused(api: Api, body: bytes) -> None:
    """A malformed form is refused with 400 / 10006 (10021 without metadata) and makes no script."""
    code = 10021 if body in NO_METADATA else 10006
    assert (400, [code]) == upload(api, body, script="none").refusal
    assert api.send("GET", f"{script_at('none')}/settings").status == 404


def test_a_truncated_form_is_refused(api: Api) -> None:
    """A form that is cut before its closing boundary is refused."""
    for at in range(0, len(WHOLE) - 3, 7):
        assert (400, [10006]) == upload(api, WHOLE[:at], script="none").refusal, at


@pytest.mark.parametrize("at", range(1, len(WHOLE), 101))
def test_a_form_may_arrive_in_any_pieces(api: Api, at: int) -> None:
    """A form may arrive in two pieces or byte by byte."""
    parts = [WHOLE[:at], WHOLE[at:]] if at > 1 else [bytes([byte]) for byte in WHOLE]

    assert "worker.js" == api.send("PUT", script_at("parts"), parts, [form_type()]).result["entry_point"]


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data;",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary*=utf-8''" + BOUNDARY.encode(),
        b"multipart/form-data; charset=utf-8",
        b"multipart/form-data; boundary=" + b"b" * 10_000,
        b"multipart/form-data; boundary=\xff",
        b"MULTIPART/FORM-DATA ; x",
    ],
)
def test_a_missing_or_invalid_boundary_is_refused(api: Api, content_type: bytes) -> None:
    """A form with a missing or invalid boundary is refused."""
    assert (400, [10006]) == upload(api, WHOLE, (b"content-type", content_type)).refusal


@pytest.mark.parametrize(
    "content_type", [b"", b"application/json", b"multipart/mixed; boundary=x", b"text/plain", b"application/wasm"]
)
def test_an_upload_is_a_form_or_a_classic_script(api: Api, content_type: bytes) -> None:
    """A missing or other content type, and a compressed body, are refused with 400 / 10001."""
    assert (400, [10001]) == upload(api, WHOLE, (b"content-type", content_type)).refusal
    assert (400, [10001]) == upload(api, WHOLE, (b"x-other", b"x")).refusal
    assert (400, [10001]) == upload(api, WHOLE, form_type(), (b"content-encoding", b"gzip")).refusal


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000, b'{"a":1,"a":2}', b'{"main_module":"\\ud800"}'])
def test_malformed_metadata_json_is_refused(api: Api, body: bytes) -> None:
    """The metadata is parsed as strictly as a JSON body."""
    assert (400, [10026]) == upload(api, form(File("metadata", body), CODE)).refusal


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([], ""),
        ("x", ""),
        ({}, "/main_module"),
        ({"main_module": "other.js"}, "/main_module"),
        ({"main_module": ""}, "/main_module"),
        ({"body_part": "other.js"}, "/body_part"),
        ({"main_module": "worker.js", "compatibility_date": "1 May"}, "/compatibility_date"),
        ({"main_module": "worker.js", "annotations": {"workers/tag": "x" * 101}}, "/annotations/workers~1tag"),
        ({"main_module": "worker.js", "usage_model": "x" * 70_000}, ""),
        ({"main_module": "worker.js", "tags": ["x" * 70_000]}, "/tags"),
        ({"main_module": "worker.js", "observability": {"enabled": "x" * 70_000}}, ""),
        ({"main_module": "worker.js", "tags": 5}, "/tags"),
        ({"main_module": "worker.js", "placement": 3}, "/placement"),
        ({"main_module": "worker.js", "compatibility_date": "9999-99-99"}, "/compatibility_date"),
    ],
)
def test_wrong_metadata_is_refused_with_a_pointer(api: Api, value: object, pointer: str) -> None:
    """Missing or wrong metadata is refused with 400 / 10021 and a pointer to it."""
    answer = upload(api, form(metadata(value), CODE))

    assert ((400, [10021]), [pointer]) == (answer.refusal, answer.pointers)


def test_two_files_of_one_name_are_refused(api: Api) -> None:
    """Two files with the same name are refused."""
    assert (400, [10021]) == upload(api, form(metadata(), CODE, CODE)).refusal


def test_the_limits_of_modules_and_bindings_are_inclusive(tmp_path: Path) -> None:
    """The limits of modules and bindings are inclusive; one module or binding more is refused."""
    with Api(tmp_path, Limits(max_modules=3, max_bindings=2)) as api:
        files = [File(f"m{at}.js") for at in range(4)]
        fields: dict[str, Any] = {"main_module": "m0.js", "bindings": [values.text("A"), values.text("B")]}
        assert api.upload("worker", fields, *files[:3]).status == 200
        assert (400, [10021]) == api.upload("worker", fields, *files).refusal
        fields["bindings"].append(values.text("C"))
        assert (400, [10021]) == api.upload("worker", fields, *files[:3]).refusal


@pytest.mark.parametrize("place", [*places(METADATA)], ids=lambda place: "/".join(map(str, place)))
def test_a_field_of_the_wrong_type_is_pointed_at(api: Api, place: Place) -> None:
    """Any value in any metadata field is accepted, or refused with a pointer to the field; scripts stay readable."""
    for kind, sent in values.with_each_type(METADATA, place).items():
        answer = upload(api, form(metadata(sent), CODE), script="fields")
        if answer.status != 200:
            assert answer.status == 400, kind
            assert set(answer.codes) <= {10021, 10052, 10053, 10057}, kind
            assert all((pointer or "").startswith(f"/{place[0]}") for pointer in answer.pointers), kind
            continue
        assert "fields" in {script["id"] for script in api.send("GET", SCRIPTS).result}, kind
        shown = api.send("GET", f"{script_at('fields')}/settings")
        assert shown.status == 200, kind
        assert not values.holds_plant(shown.body), kind


OVERSIZED = {"at once": [b"x" * 2001], "byte by byte": [b"x"] * 2001, "much more": [WHOLE] * 100}


@pytest.mark.parametrize("parts", OVERSIZED.values(), ids=OVERSIZED)
@pytest.mark.parametrize("content_type", [b"application/javascript", form_type()[1]])
def test_an_upload_past_the_limit_is_refused(tmp_path: Path, parts: list[bytes], content_type: bytes) -> None:
    """The bytes of all parts are counted together as they arrive; the limit is inclusive."""
    opening = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a\r\n\r\n".encode()
    with Api(tmp_path, Limits(max_upload_bytes=2000)) as api:
        target, headers = script_at("worker"), [(b"content-type", content_type), (b"content-length", b"7")]
        assert (413, [10027]) == api.send("PUT", target, [opening, *parts], headers).refusal
        assert 413 != api.send("PUT", target, [opening, b"x" * (2000 - len(opening))], headers).status


def test_an_upload_that_ends_early_is_refused(api: Api) -> None:
    """An upload that the client cuts off is refused and makes no script."""
    for parts in ([], [WHOLE[:100]], [WHOLE]):
        answer = api.send("PUT", script_at("gone"), parts, [form_type()], cut=True)
        assert ((400, [10026]), b"close") == (answer.refusal, answer.header(b"connection"))
    assert api.send("GET", script_at("gone")).status == 404


def test_an_upload_that_stalls_gets_408(tmp_path: Path) -> None:
    """An upload that stalls for longer than allowed gets 408, and the connection is closed."""
    with Api(tmp_path, Limits(body_seconds=0.01)) as api:
        answer = api.send("PUT", script_at("worker"), [WHOLE[:100]], [form_type()], silent=True)

    assert (408, [10026]) == answer.refusal
    assert answer.header(b"connection") == b"close"


def test_a_classic_script_reads_back_unchanged(api: Api) -> None:
    """JavaScript as the whole body makes a script without modules, which reads back unchanged."""
    source = "addEventListener('fetch', () => {}) // é".encode()
    answer = api.send("PUT", script_at("classic"), source, [(b"content-type", b"text/javascript; charset=utf-8")])

    assert answer.result["has_modules"] is False
    assert source == api.send("GET", script_at("classic")).body


ODD_NAMES = (
    "a\r\nx-injected: 1\r\n.js",
    "a\nb.js",
    "a\rb.js",
    "\0.js",
    "\x7f.js",
    'qu"ote.js',
    "back\\slash.js",
    "é☃😀.js",
    "../../etc/passwd",
    "/absolute.js",
    "C:\\\\windows.js",
    "50%.js",
    "%0d%0a.js",
    " ",
    "a;b=c.js",
    "metadata",
    "x" * 4000,
)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
@pytest.mark.parametrize("content_type", [MODULE, "", "text/plain; x=é", "a\nx-injected: 1", "\0", '"; x'])
def test_a_file_name_cannot_inject_a_header(api: Api, name: str, content_type: str) -> None:
    """A file name or content type never puts a line break or another header into an answer."""
    filename = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").encode()
    head = b'Content-Disposition: form-data; name="file"; filename="%b"' % filename
    known = name if filename == name.encode() else filename.decode()
    other = File("other.js", content_type=content_type)
    for form_metadata in ({"main_module": known}, {"main_module": name}, {"body_part": name}):
        upload(api, form(metadata(form_metadata), File("file", content_type=content_type, head=head)), script="odd")
        single = api.send("GET", script_at("odd"))
        upload(api, form(metadata(form_metadata), File("file", head=head), other), script="odd")
        multiple = api.send("GET", script_at("odd"))
        for answer in (single, multiple):
            assert {name for name, _ in answer.headers} <= {
                b"content-type", b"content-length", b"cf-entrypoint", b"cache-control", b"x-content-type-options",
            }  # fmt: skip
        assert b"\nx-injected" not in multiple.body


def test_file_names_read_back_escaped(api: Api) -> None:
    """A file is named by its file name, or else by its part's name; reads escape names as browsers do."""
    files = (File('a"b\r\n.js', b"1"), File("part only", b"2", as_file=False), File("é.js", b"3"))
    assert api.upload("names", {"main_module": "part only"}, *files).result["entry_point"] == "part only"

    answer = api.send("GET", script_at("names"))

    assert answer.header(b"cf-entrypoint") == b"part only"
    for shown in (b'filename="a%22b%0D%0A.js"', b'filename="part only"', 'filename="é.js"'.encode()):
        assert shown in answer.body
