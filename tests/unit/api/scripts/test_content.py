"""The files of a script: they read back unchanged, with their names and types."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, MODULE, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import add, items, metadata

from nightsafe.api.http.multipart import FormPart, parse_form

MODULES = (
    File("index.mjs", b"import 'x'\r\n--\0"),
    File("lib/common.cjs", b"module.exports = 1", "application/javascript"),
    File("code.wasm", b"\0asm\r\n\r\n", "application/wasm"),
    File("note.txt", "é☃".encode(), "text/plain"),
    File("data.bin", bytes(range(256)), "application/octet-stream"),
    File("data.json", b'{"a": 1}', "application/json"),
    File("main.py", b"def on_fetch(): ...\n", "text/x-python"),
    File("requirements", b"", "text/x-python-requirement"),
    File("index.mjs.map", b"{}", "application/source-map"),
)


def content_of(script: str, suffix: str = "/v2") -> str:
    """Return the path of a script's content."""
    return f"{script_at(script)}/content{suffix}"


def parts_of(answer: Answer) -> list[tuple[str, str | None, str, bytes]]:
    """Return the parts of an answer that is a form."""

    async def body() -> AsyncIterator[bytes]:
        """Yield the body of the answer."""
        yield answer.body

    assert answer.status == 200, answer.body
    parts = asyncio.run(_parsed(answer.header(b"content-type") or b"", body()))
    return [(part.name, part.filename, part.content_type, part.body) for part in parts]


async def _parsed(content_type: bytes, body: AsyncIterator[bytes]) -> list[FormPart]:
    """Return the parts of a form."""
    return await parse_form(content_type, body)


def as_parts(*files: File) -> list[tuple[str, str | None, str, bytes]]:
    """Return the parts in which these files read back."""
    return [(file.name, file.name, file.content_type, file.body) for file in files]


def put_content(api: Api, script: str, *parts: File, headers: dict[bytes, bytes] | None = None) -> Answer:
    """PUT new code."""
    all_headers = [form_type(), *(headers or {}).items()]
    return api.send("PUT", content_of(script, ""), form(*parts), all_headers)


def test_modules_of_every_type_read_back_unchanged(own_api: Api) -> None:
    """Files keep their order, names, types and bytes, and `cf-entrypoint` names the entry point.

    In an answer to a read of the script, the entry point comes first: cloudflare-go reads the first part only.
    """
    assert own_api.upload("worker", {"main_module": "main.py"}, *MODULES).status == 200

    main = next(file for file in MODULES if file.name == "main.py")
    others = [file for file in MODULES if file is not main]
    for target, files in (
        (script_at("worker"), (main, *others)),
        (content_of("worker"), MODULES),
        (content_of("worker", ""), MODULES),
    ):
        answer = own_api.send("GET", target)
        assert as_parts(*files) == parts_of(answer)
        assert answer.header(b"cf-entrypoint") == b"main.py"


def test_only_a_module_reads_back_as_a_form(own_api: Api) -> None:
    """A module reads back as a form and a classic script as plain code; clients tell them apart by this."""
    module, script = File("worker.js"), File("worker.js", b"addEventListener()", "application/javascript")
    own_api.upload("module", {"main_module": "worker.js"}, module)
    own_api.upload("classic", {"body_part": "worker.js"}, script)

    assert as_parts(module) == parts_of(own_api.send("GET", content_of("module")))
    classic = own_api.send("GET", content_of("classic"))
    assert (b"application/javascript", script.body) == (classic.header(b"content-type"), classic.body)
    assert as_parts(module) == parts_of(own_api.send("GET", script_at("module")))
    as_script = own_api.send("GET", script_at("classic"))
    assert (b"application/javascript", script.body) == (as_script.header(b"content-type"), as_script.body)


def test_a_version_has_its_own_content(own_api: Api) -> None:
    """`version` selects a version's content; without it, the newest version's content is sent, deployed or not."""
    own_api.upload("worker", None, File("worker.js", b"1"))
    add(own_api, "worker", None, File("other.js", b"2"))

    by_number = {item["number"]: item["id"] for item in items(own_api, "worker")}
    first, second = (own_api.send("GET", f"{content_of('worker')}?version={by_number[at]}") for at in (1, 2))

    assert (b"worker.js", b"other.js") == (first.header(b"cf-entrypoint"), second.header(b"cf-entrypoint"))
    assert [b"1", b"2"] == [parts_of(answer)[0][3] for answer in (first, second)]
    assert parts_of(second) == parts_of(own_api.send("GET", content_of("worker")))
    assert by_number[1] != by_number[2]


def test_missing_content_is_refused(own_api: Api) -> None:
    """A missing script gets 10007, a missing version 100146 and a malformed version ID 10004."""
    own_api.upload("worker")

    unknown = f"{content_of('worker')}?version=00000000-0000-4000-8000-000000000000"
    assert (404, [10007]) == own_api.send("GET", content_of("absent")).refusal
    assert (404, [100146]) == own_api.send("GET", unknown).refusal
    assert (400, [10004]) == own_api.send("GET", f"{content_of('worker')}?version=latest").refusal
    assert (404, [10007]) == put_content(own_api, "absent", metadata({"main_module": "a.js"}), File("a.js")).refusal


FIELDS = {
    "main_module": "worker.js",
    "bindings": [values.text("S"), {"name": "P", "type": "plain_text", "text": "shown"}],
    "compatibility_date": "2026-01-01",
    "limits": {"cpu_ms": 10},
    "tags": ["a"],
    "logpush": True,
}


def test_new_content_keeps_bindings_and_settings(own_api: Api) -> None:
    """New content makes and deploys a version with the same bindings and settings."""
    own_api.upload("worker", FIELDS)
    settings = own_api.send("GET", f"{script_at('worker')}/settings").result

    answer = put_content(own_api, "worker", metadata({"main_module": "new.js"}), File("new.js", b"new"))

    assert ("worker", True, ["a"]) == (answer.result["id"], answer.result["has_modules"], answer.result["tags"])
    assert as_parts(File("new.js", b"new")) == parts_of(own_api.send("GET", content_of("worker")))
    assert settings == own_api.send("GET", f"{script_at('worker')}/settings").result
    deployments = own_api.send("GET", f"{script_at('worker')}/deployments").result["deployments"]
    assert items(own_api, "worker")[0]["id"] == deployments[0]["versions"][0]["version_id"]


@pytest.mark.parametrize(
    ("headers", "has_modules"),
    [({b"cf-worker-main-module-part": b"files"}, True), ({b"cf-worker-body-part": b"files"}, False)],
)
@pytest.mark.parametrize("first", [(), (metadata({}),)])
def test_a_header_may_name_the_entry_point(
    own_api: Api,
    headers: dict[bytes, bytes],
    has_modules: bool,  # noqa: FBT001 - a case
    first: tuple[File, ...],
) -> None:
    """A header may name the entry point's part instead of the metadata, and decides whether there are modules."""
    own_api.upload("worker", {"body_part": "worker.js"})
    head = b'Content-Disposition: form-data; name="files"; filename="index.js"'

    answer = put_content(own_api, "worker", *first, File("files", b"new", head=head), headers=headers)

    assert answer.result["has_modules"] is has_modules
    found = own_api.send("GET", script_at("worker"))
    assert (b"files", b"new") == (
        found.header(b"cf-entrypoint"),
        parts_of(found)[0][3] if has_modules else found.body,
    )
    assert "body_part" not in own_api.send("GET", f"{script_at('worker')}/settings").result


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        ((metadata({}), File("a.js")), (400, [10021])),
        ((File("a.js"),), (400, [10021])),
        ((metadata({"main_module": "b.js"}), File("a.js")), (400, [10021])),
        ((metadata([]), File("a.js")), (400, [10021])),
        ((metadata({"main_module": "a.js"}), metadata({}), File("a.js")), (400, [10006])),
        ((metadata({"main_module": "a.js"}), File("a.js"), File("a.js")), (400, [10021])),
    ],
)
def test_new_content_without_a_valid_entry_point_is_refused(api: Api, parts: Any, refusal: Any) -> None:
    """New content with a missing or wrong entry point, or with two files of the same name, is refused."""
    assert refusal == put_content(api, "worker", *parts).refusal
    assert (400, [10001]) == api.send(
        "PUT", content_of("worker", ""), b"{}", [(b"content-type", b"text/css")]
    ).refusal


def test_files_of_a_classic_script_read_back_unchanged(own_api: Api) -> None:
    """A file of a classic script has the name of its part, to which its binding refers; wrangler sends it so."""
    head = b'Content-Disposition: form-data; name="WASM"; filename="./module.wasm"'
    code = File("worker.js", b"addEventListener()", "application/javascript")
    binding = {"name": "WASM", "type": "wasm_module", "part": "WASM"}
    fields = {"body_part": "worker.js", "bindings": [binding]}

    assert own_api.upload("worker", fields, code, File("", b"\0asm", "application/wasm", head=head)).status == 200

    assert as_parts(code, File("WASM", b"\0asm", "application/wasm")) == parts_of(
        own_api.send("GET", content_of("worker"))
    )
    assert [binding] == own_api.send("GET", f"{script_at('worker')}/settings").result["bindings"]
    assert code.body == own_api.send("GET", script_at("worker")).body


def test_a_form_sent_as_javascript_is_refused(own_api: Api) -> None:
    """A form that is sent as JavaScript is refused, because its secrets would be stored and shown as code.

    One SDK sends uploads like this.
    """
    body = form(File("metadata[bindings][][text]", values.planted().encode(), as_file=False), File("files[]"))
    for target in (script_at("worker"), f"{script_at('worker')}?bindings_inherit=strict"):
        answer = own_api.send("PUT", target, body, [(b"content-type", b"application/javascript")])
        assert ((400, [10006]), True) == (answer.refusal, "multipart/form-data" in answer.messages[0])
    own_api.upload("worker")
    assert (400, [10006]) == own_api.send(
        "PUT", content_of("worker", ""), body, [(b"content-type", b"application/javascript")]
    ).refusal
    spread = own_api.send("PUT", script_at("worker"), body, [form_type()])
    assert ((400, [10021]), True) == (spread.refusal, "metadata[" in spread.messages[0])
    assert [MODULE] == [kind for _, _, kind, _ in parts_of(own_api.send("GET", script_at("worker")))]


def reads_of_code(api: Api) -> list[str]:
    """Return the paths that answer with a script's code."""
    version = api.send("GET", f"{script_at('worker')}/versions").result["items"][0]["id"]
    worker = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker/versions/{version}?include=modules"
    return [
        script_at("worker"),
        content_of("worker"),
        content_of("worker", ""),
        f"{content_of('worker')}?version={version}",
        worker,
    ]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM contents", "DELETE FROM modules", "DELETE FROM modules WHERE position = 0"]
)
@pytest.mark.parametrize("entry", ["main_module", "body_part"])
def test_missing_files_are_never_read_as_other_code(
    own_api: Api, sql: str, entry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the database has lost code, every read of it is a 500, and the safe's log names the script."""
    files = (MODULES[0], MODULES[3])
    assert own_api.upload("worker", {entry: "index.mjs"}, *files).status == 200
    paths = reads_of_code(own_api)
    assert {200} == {own_api.send("GET", path).status for path in paths}
    with closing(sqlite3.connect(own_api.path)) as db:
        db.execute(sql)
        db.commit()

    for path in paths:
        capsys.readouterr()
        answer = own_api.try_send("GET", path)
        assert answer is not None
        assert (500, [10002]) == answer.refusal
        logged = capsys.readouterr().out
        assert "cannot_open" in logged
        assert "'worker'" in logged


def test_the_same_upload_brings_missing_contents_back(own_api: Api) -> None:
    """An upload of the same code again writes contents that the database has lost."""
    own_api.upload("worker", {"main_module": "index.mjs"}, MODULES[0])
    with closing(sqlite3.connect(own_api.path)) as db:
        db.execute("DELETE FROM contents")
        db.commit()

    assert own_api.upload("worker", {"main_module": "index.mjs"}, MODULES[0]).status == 200

    assert as_parts(MODULES[0]) == parts_of(own_api.send("GET", content_of("worker")))
