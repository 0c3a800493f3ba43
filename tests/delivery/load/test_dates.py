"""Scripts of every kind are served unchanged at each compatibility date that changes the runtime's behaviour."""

import datetime as dt
import mmap
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.delivery.load.dates import FIRST, TURNS, around_turns, day_before
from tests.delivery.runtime import CLASSIC, JS, KEY, WASM, Binding, Runtime, stored, text, workerd
from tests.effort import last_first

from nightsafe.bundle.runtime_flags import NEWEST_DATE

MAIN = """#!/usr/bin/env node
  import wasm from "./lib/f.wasm"; import words from "./words.txt"; import bytes from "./bytes.bin";
  import object from "./object.json"; import common from "./common.cjs"; import { deep } from "./lib/deep.js";
  import { env } from "cloudflare:workers";
  const early = env.KEY instanceof CryptoKey;
  export default { fetch: async (request, env) => Response.json({
    wasm: new WebAssembly.Instance(wasm).exports.f(), words, bytes: new Uint8Array(bytes).length, object,
    common: common.answer, deep, early, token: env.TOKEN, stored: await env.STORED.get(),
    blob: new Uint8Array(env.BLOB).length, main: import.meta.main ?? true,
    names: Object.keys(env).sort().join(), process: JSON.stringify(globalThis.process?.env ?? {}) }) };"""
FILES = {
    "index.js": (JS, MAIN.encode()),
    "lib/deep.js": (
        JS,
        b"""import { twice } from "./twice.js"; import { env } from "cloudflare:workers";
        export const deep = env.KEY instanceof CryptoKey && twice(21);""",
    ),
    "lib/twice.js": (JS, b"export const twice = (number) => 2 * number;"),
    "lib/f.wasm": ("application/wasm", WASM),
    "words.txt": ("text/plain", "\ufeffwörds".encode()),
    "bytes.bin": ("application/octet-stream", bytes(5)),
    "object.json": ("application/json", b'{"a": 1}'),
    "common.cjs": (CLASSIC, b"exports.answer = 42;"),
}
SCRIPT = b"""
  var top_level = 1;
  addEventListener("fetch", (event) => event.respondWith(STORED.get().then((value) => new Response(JSON.stringify({
    token: TOKEN, stored: value, key: KEY instanceof CryptoKey, event: event instanceof FetchEvent,
    global: globalThis.top_level, wasm: new WebAssembly.Instance(CODE).exports.f(),
    process: JSON.stringify(globalThis.process?.env ?? {}) })))));"""
JWK: Binding = {
    "type": "secret_key",
    "name": "JWK",
    "format": "jwk",
    "algorithm": {"name": "HMAC", "hash": "SHA-256"},
    "usages": ["sign"],
    "key_jwk": {"kty": "oct", "k": "cGxhbnRlZC1pbi1hLWtleS1hbmQtbm93aGVyZS1lbHM"},
}
BINDINGS: list[Binding] = [
    KEY,
    JWK,
    text("TOKEN", "\ufefftoken"),
    stored("STORED", "shelf", "planted-in-a-store"),
]
FOUND = {
    "wasm": 42,
    "words": "\ufeffwörds",
    "bytes": 5,
    "object": {"a": 1},
    "common": 42,
    "deep": 42,
    "early": True,
    "token": "\ufefftoken",
    "stored": "planted-in-a-store",
    "blob": 5,
    "main": True,
    "names": "BLOB,JWK,KEY,STORED,TOKEN",
}
FOUND_CLASSIC = {
    "token": "\ufefftoken",
    "stored": "planted-in-a-store",
    "key": True,
    "event": True,
    "global": 1,
    "wasm": 42,
}


async def wrong_answers(
    runtime: Runtime, expected: Mapping[str, Any], code: Any, bindings: list[Binding], **members: Any
) -> dict[str, Any]:
    """Return a script's answers at dates at which it answers other than expected, or shows a raw value."""
    answers: dict[str, Any] = {}
    for date in around_turns():
        for flags in ((), ("nodejs_compat",)):
            with capture_logs() as logs:
                await runtime.upload(
                    "dated", code, bindings, compatibility_date=date, compatibility_flags=flags, **members
                )
                answer = await runtime.get("dated")
            told = answer.json() if answer.status_code == 200 else [log.get("reason") for log in logs]
            shown = told.pop("process") if isinstance(told, dict) else ""
            if told != expected or "planted" in shown or "cGxhbnRl" in shown:
                answers[f"{date} {flags}"] = told, shown
    return answers


@pytest.mark.thorough
async def test_module_scripts_work_at_every_date(runtime: Runtime) -> None:
    """Modules of every kind, early keys and exact text work at every date; `process.env` shows nothing raw."""
    bindings = [*BINDINGS, {"type": "data_blob", "name": "BLOB", "part": "bytes.bin"}]

    assert {} == await wrong_answers(runtime, FOUND, FILES, bindings)


@pytest.mark.thorough
async def test_classic_scripts_work_at_every_date(runtime: Runtime) -> None:
    """The same holds for classic scripts, whose bindings are globals."""
    files = {"worker.js": (CLASSIC, SCRIPT), "code.wasm": ("application/wasm", WASM)}
    bindings = [*BINDINGS, {"type": "wasm_module", "name": "CODE", "part": "code.wasm"}]

    assert {} == await wrong_answers(runtime, FOUND_CLASSIC, files, bindings, classic=True)


@pytest.mark.parametrize("registry", ["new_module_registry", "legacy_module_registry"])
@pytest.mark.parametrize("date", last_first([day_before("2026-11-17"), NEWEST_DATE]))
async def test_a_script_may_choose_either_module_registry(runtime: Runtime, date: str, registry: str) -> None:
    """Keys and modules work with the new and with the legacy module registry."""
    bindings = [*BINDINGS, {"type": "data_blob", "name": "BLOB", "part": "bytes.bin"}]
    flags = (registry, "nodejs_compat")
    await runtime.upload("chosen", FILES, bindings, compatibility_date=date, compatibility_flags=flags)

    told = (await runtime.get("chosen")).json()

    assert "planted" not in told.pop("process")
    assert FOUND == told


async def test_dates_up_to_today_run_as_the_newest_date(runtime: Runtime) -> None:
    """Up to today a script runs with the runtime's newest date; a later date is refused and logged."""
    today = dt.datetime.now(dt.UTC).date()
    code = "export default { fetch: () => Response.json(Cloudflare.compatibilityFlags) };"
    await runtime.upload("newest", code, compatibility_date=NEWEST_DATE)
    await runtime.upload("dated", code, compatibility_date=today.isoformat())
    assert (await runtime.get("newest")).json() == (await runtime.get("dated")).json()

    with capture_logs() as logs:
        await runtime.upload("dated", code, compatibility_date=(today + dt.timedelta(days=2)).isoformat())
        assert 500 == (await runtime.get("dated")).status_code
    assert "compatibility date" in logs[-1]["reason"]


def test_the_newest_date_is_the_runtime_s(tmp_path: Path) -> None:
    """`NEWEST_DATE` is the newest date that the runtime says it supports."""
    config = tmp_path / "config.capnp"
    config.write_text(
        """using Workerd = import "/workerd/workerd.capnp";
        const config :Workerd.Config = (services = [(name = "w", worker = (
          compatibilityDate = "2999-01-01", serviceWorkerScript = "" ))]);""",
        encoding="utf-8",
    )
    told = subprocess.run([workerd(), "serve", config], capture_output=True, timeout=60, check=False, text=True)

    assert f'supported by this server binary is "{NEWEST_DATE}"' in told.stderr


@pytest.mark.thorough
async def test_every_date_that_changes_flags_is_tested(runtime: Runtime) -> None:
    """The tested dates are exactly those in the binary at which the runtime's flags change."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    known = [date for date in _dates_in(workerd()) if FIRST < date <= min(today, NEWEST_DATE)]

    found = {date for date in known if await _flags(runtime, day_before(date)) != await _flags(runtime, date)}

    assert set(TURNS) == found


async def _flags(runtime: Runtime, date: str) -> list[dict[str, bool]]:
    """Return the flags that are on at a date, without and with `nodejs_compat`."""
    code = "export default { fetch: () => Response.json(Cloudflare.compatibilityFlags) };"
    told = []
    for flags in ((), ("nodejs_compat",)):
        await runtime.upload("flags", code, compatibility_date=date, compatibility_flags=flags)
        told.append((await runtime.get("flags")).json())
    return told


def _dates_in(binary: Path) -> Iterator[str]:
    """Yield each separate string in a binary that is a date since 2020."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = {match[1].decode() for match in re.finditer(rb"\0(202\d-[01]\d-[0-3]\d)\0", data)}
    yield from sorted(found)
