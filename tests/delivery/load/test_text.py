"""A script reads exactly the bytes that were put, for all characters."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.delivery.runtime import CLASSIC, JS, Binding, Runtime, stored, text
from tests.effort import examples, last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

BOM = "\ufeff"
HEADS = [
    BOM,
    f"{BOM}{BOM}",
    f"{BOM}a",
    "\ufffe",
    "\0",
    "\u2028",
    "\u2029",
    "\r\n",
    " ",
    "\x85",
    "\U0001f511",
    "e\u0301",
]
PIECE = 1024  # characters in a piece: at four bytes each they are the limit of a secret
PIECES = 192  # pieces in one script: its bindings may have a mebibyte
KINDS = ["secret_text", "plain_text", "json", "stored", "text_blob", "tag", "module"]
EACH = """
  import module from "./module.txt";
  export default { fetch: async (request, env) => {
    const kind = new URL(request.url).pathname.slice(1);
    if (kind === "module") return new Response(module);
    const all = await Promise.all(Object.keys(env).sort().map((name) =>
      kind === "stored" ? env[name].get() : kind === "tag" ? env[name].tag : env[name]));
    return new Response(all.join(""));
  } };"""


def all_characters() -> Iterator[list[str]]:
    """Yield every Unicode character, in pieces, except surrogates, which cannot be put."""
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    pieces = ["".join(map(chr, points[at : at + PIECE])) for at in range(0, len(points), PIECE)]
    yield from (pieces[at : at + PIECES] for at in range(0, len(pieces), PIECES))


async def upload_as(runtime: Runtime, script: str, kind: str, values: Sequence[str]) -> None:
    """Upload a script with texts where `kind` says: each in its own binding, or all together in one part."""
    whole = "".join(values)
    make: dict[str, Callable[[str, str], Binding]] = {
        "secret_text": text,
        "plain_text": lambda name, value: {"type": "plain_text", "name": name, "text": value},
        "json": lambda name, value: {"type": "json", "name": name, "json": value},
        "stored": lambda name, value: stored(name, name, value),
    }
    once: dict[str, list[Binding]] = {
        "text_blob": [{"type": "text_blob", "name": "BLOB", "part": "module.txt"}],
        "tag": [{"type": "version_metadata", "name": "VERSION"}],
        "module": [],
    }
    bindings = once.get(kind) or [make[kind](f"T{at:04}", value) for at, value in enumerate(values) if kind in make]
    part = whole if kind in {"module", "text_blob"} else ""
    files = {"index.js": (JS, EACH.encode()), "module.txt": ("text/plain", part.encode())}
    await runtime.upload(script, files, bindings, tag=whole if kind == "tag" else "")


@pytest.mark.parametrize("kind", KINDS)
async def test_every_character_arrives(runtime: Runtime, kind: str) -> None:
    """Every Unicode character arrives, in each kind of text."""
    wrong = []
    for at, values in enumerate(all_characters()):
        await upload_as(runtime, "every", kind, values)
        if (await runtime.get("every", f"/{kind}")).content != "".join(values).encode():
            wrong.append(at)

    assert [] == wrong


@pytest.mark.parametrize("kind", KINDS)
async def test_any_first_and_last_character_arrives(runtime: Runtime, kind: str) -> None:
    """A text may begin and end with any of these characters, be nothing else, or be empty."""
    for value in ["", *HEADS, *(f"a{head}" for head in HEADS), *(f"{head}b{head}" for head in HEADS)]:
        await upload_as(runtime, "heads", kind, [value])

        assert value.encode() == (await runtime.get("heads", f"/{kind}")).content, ascii(value)


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.builds("{}{}".format, st.sampled_from(HEADS), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)),
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(texts, min_size=1, max_size=60), names=st.lists(texts, max_size=9))
async def test_many_random_texts_arrive_together(runtime: Runtime, values: list[str], names: list[str]) -> None:
    """Many random texts arrive together, as secrets and nested in JSON, where they are also names."""
    told: list[Any] = [values, dict.fromkeys(names, values[0])]
    bindings = [text(f"T{at}", value) for at, value in enumerate(values)]
    bindings.append({"type": "json", "name": "DEEP", "json": told})
    code = "export default { fetch: (request, env) => Response.json(env) };"
    await runtime.upload("any", code, bindings)

    found = json.loads((await runtime.get("any")).content)

    assert told == found.pop("DEEP")
    assert {f"T{at}": value for at, value in enumerate(values)} == found


@pytest.mark.parametrize("date", last_first(["2021-11-02", "2026-04-01", NEWEST_DATE]))
@pytest.mark.parametrize("head", [b"", b"#!/usr/bin/env node\n"])
@pytest.mark.parametrize("bindings", [[], [stored("S", "shelf", "x")]])
async def test_a_byte_order_mark_before_a_source_is_ignored(
    runtime: Runtime, date: str, head: bytes, bindings: list[Binding]
) -> None:
    """A byte order mark before a source is white space, with Nightsafe's import before it and without."""
    mark = BOM.encode()
    body = """import common from "./common.cjs";
      export default { fetch: () => new Response(`${"BOM".length} ${common}`) };"""
    files = {
        "index.js": (JS, (head or mark) + body.replace("BOM", BOM).encode()),
        "common.cjs": (CLASSIC, mark + b"module.exports = 'common';"),
    }
    await runtime.upload("marked", files, bindings, compatibility_date=date)
    assert "1 common" == (await runtime.get("marked")).text

    script = (head or mark) + f"addEventListener('fetch', (e) => e.respondWith(new Response('{BOM}')));".encode()
    await runtime.upload("marked", {"worker.js": (CLASSIC, script)}, bindings, compatibility_date=date, classic=True)
    assert mark == (await runtime.get("marked")).content


async def test_json_modules_equal_json_parse(runtime: Runtime) -> None:
    """Each number and text in a JSON module is the same as with `JSON.parse`."""
    written = r"""{"zero": -0, "more": [1e400, -1e400, 1e-400, 0.1, 12345678901234567890, -0.0, 1E5, 5e-324],
      "__proto__": {"a": "\ufeff\u0000\u2028\ud83d\udd11"}, "2": 1, "1": 2, "": "", "lone": "\ud800"}"""
    code = f"""
      import module from "./written.json";
      const show = (it) => Object.is(it, -0) ? "-0" : typeof it === "number" ? String(it)
        : it && typeof it === "object" ? Reflect.ownKeys(it).map((key) => [key, show(it[key])]) : JSON.stringify(it);
      export default {{ fetch: () => Response.json([show(module), show(JSON.parse(String.raw`{written}`))]) }};"""
    await runtime.upload(
        "written", {"index.js": (JS, code.encode()), "written.json": ("application/json", written.encode())}
    )

    here, parsed = (await runtime.get("written")).json()

    assert parsed == here
    assert "-0" in str(here)


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf1", b"", b"{planted", b"'planted'"])
async def test_a_malformed_json_module_is_logged(runtime: Runtime, body: bytes) -> None:
    """The script does not start, as `JSON.parse` takes no byte order mark either; the log names only the module."""
    code = 'import module from "./a.json"; export default { fetch: () => Response.json(module) };'
    await runtime.upload("broken", {"index.js": (JS, code.encode()), "a.json": ("application/json", body)})
    with capture_logs() as logs:
        assert 500 == (await runtime.get("broken")).status_code

    assert 'the module "a.json" is no JSON' == logs[-1]["reason"]
