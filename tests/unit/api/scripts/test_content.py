"""The files of a script: what goes in comes out, byte for byte and under its name and type."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import MODULE, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import add, items, metadata

from nightsafe.api.http.multipart import FormPart, parse_form

EVERY_KIND = (
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


def content_of(script: str, tail: str = "/v2") -> str:
    """The path of a script's content."""
    return f"{script_at(script)}/content{tail}"


def parts_of(answer: Answer) -> list[tuple[str, str | None, str, bytes]]:
    """The parts of an answer that is a form."""

    async def body() -> AsyncIterator[bytes]:
        """The answer's."""
        yield answer.body

    assert answer.status == 200, answer.body
    parts = asyncio.run(_parsed(answer.header(b"content-type") or b"", body()))
    return [(part.name, part.filename, part.content_type, part.body) for part in parts]


async def _parsed(content_type: bytes, body: AsyncIterator[bytes]) -> list[FormPart]:
    """The parts of a form."""
    return await parse_form(content_type, body)


def sent(*files: File) -> list[tuple[str, str | None, str, bytes]]:
    """How files read back as parts of a form."""
    return [(file.name, file.name, file.content_type, file.body) for file in files]


def put_content(api: Api, script: str, *parts: File, headers: dict[bytes, bytes] | None = None) -> Answer:
    """PUT new code."""
    every = [form_type(), *(headers or {}).items()]
    return api.send("PUT", content_of(script, ""), form(*parts), every)


def test_every_kind_of_module_goes_and_comes(own_api: Api) -> None:
    """In the order it came, under its name and type, byte for byte; `cf-entrypoint` names the one that starts.

    Asked for as a script, that one comes first: cloudflare-go reads no more than the first part.
    """
    assert own_api.upload("worker", {"main_module": "main.py"}, *EVERY_KIND).status == 200

    main = next(file for file in EVERY_KIND if file.name == "main.py")
    others = [file for file in EVERY_KIND if file is not main]
    for target, files in (
        (script_at("worker"), (main, *others)),
        (content_of("worker"), EVERY_KIND),
        (content_of("worker", ""), EVERY_KIND),
    ):
        answer = own_api.send("GET", target)
        assert sent(*files) == parts_of(answer)
        assert answer.header(b"cf-entrypoint") == b"main.py"


def test_one_module_is_a_form_and_one_script_is_not(own_api: Api) -> None:
    """Clients tell a classic script by that, whichever page they read."""
    module, script = File("worker.js"), File("worker.js", b"addEventListener()", "application/javascript")
    own_api.upload("module", {"main_module": "worker.js"}, module)
    own_api.upload("classic", {"body_part": "worker.js"}, script)

    assert sent(module) == parts_of(own_api.send("GET", content_of("module")))
    classic = own_api.send("GET", content_of("classic"))
    assert (b"application/javascript", script.body) == (classic.header(b"content-type"), classic.body)
    assert sent(module) == parts_of(own_api.send("GET", script_at("module")))
    as_script = own_api.send("GET", script_at("classic"))
    assert (b"application/javascript", script.body) == (as_script.header(b"content-type"), as_script.body)


def test_a_version_has_its_own_content(own_api: Api) -> None:
    """`version` names it; without one it is the newest version's, deployed or not."""
    own_api.upload("worker", None, File("worker.js", b"1"))
    add(own_api, "worker", None, File("other.js", b"2"))

    by_number = {item["number"]: item["id"] for item in items(own_api, "worker")}
    first, second = (own_api.send("GET", f"{content_of('worker')}?version={by_number[at]}") for at in (1, 2))

    assert (b"worker.js", b"other.js") == (first.header(b"cf-entrypoint"), second.header(b"cf-entrypoint"))
    assert [b"1", b"2"] == [parts_of(answer)[0][3] for answer in (first, second)]
    assert parts_of(second) == parts_of(own_api.send("GET", content_of("worker")))
    assert by_number[1] != by_number[2]


def test_content_that_is_not_there(own_api: Api) -> None:
    """No script is 10007, no such version 100146, a malformed one 10004."""
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


def test_new_content_keeps_all_else(own_api: Api) -> None:
    """Bindings and settings of both levels stay; a version is made and served."""
    own_api.upload("worker", FIELDS)
    settings = own_api.send("GET", f"{script_at('worker')}/settings").result

    answer = put_content(own_api, "worker", metadata({"main_module": "new.js"}), File("new.js", b"new"))

    assert ("worker", True, ["a"]) == (answer.result["id"], answer.result["has_modules"], answer.result["tags"])
    assert sent(File("new.js", b"new")) == parts_of(own_api.send("GET", content_of("worker")))
    assert settings == own_api.send("GET", f"{script_at('worker')}/settings").result
    deployments = own_api.send("GET", f"{script_at('worker')}/deployments").result["deployments"]
    assert items(own_api, "worker")[0]["id"] == deployments[0]["versions"][0]["version_id"]


@pytest.mark.parametrize(
    ("headers", "has_modules"),
    [({b"cf-worker-main-module-part": b"files"}, True), ({b"cf-worker-body-part": b"files"}, False)],
)
@pytest.mark.parametrize("first", [(), (metadata({}),)])
def test_headers_may_name_the_part(
    own_api: Api,
    headers: dict[bytes, bytes],
    has_modules: bool,  # noqa: FBT001 - a case
    first: tuple[File, ...],
) -> None:
    """In place of the metadata, by the part's name; whether it is a classic script changes with it, both ways."""
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
def test_new_content_names_what_starts(api: Api, parts: Any, refusal: Any) -> None:
    """Nothing, something that is not there, or two of a name: refused."""
    assert refusal == put_content(api, "worker", *parts).refusal
    assert (400, [10001]) == api.send(
        "PUT", content_of("worker", ""), b"{}", [(b"content-type", b"text/css")]
    ).refusal


def test_files_of_a_classic_script_go_and_come(own_api: Api) -> None:
    """As wrangler sends them: known by the part's name, which the binding gives, and not by the file's."""
    head = b'Content-Disposition: form-data; name="WASM"; filename="./module.wasm"'
    code = File("worker.js", b"addEventListener()", "application/javascript")
    binding = {"name": "WASM", "type": "wasm_module", "part": "WASM"}
    fields = {"body_part": "worker.js", "bindings": [binding]}

    assert own_api.upload("worker", fields, code, File("", b"\0asm", "application/wasm", head=head)).status == 200

    assert sent(code, File("WASM", b"\0asm", "application/wasm")) == parts_of(
        own_api.send("GET", content_of("worker"))
    )
    assert [binding] == own_api.send("GET", f"{script_at('worker')}/settings").result["bindings"]
    assert code.body == own_api.send("GET", script_at("worker")).body


def test_a_form_that_says_it_is_a_script_is_refused(own_api: Api) -> None:
    """It would be kept, and shown, as code: with the secrets in it. One SDK sends uploads so."""
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
