"""Large answers and bodies: they are sent and read in parts, so that other tasks run in between."""

import base64
import json
import os
import tracemalloc
from typing import Any

import pytest
from tests.engines.tools.stored import modules_of
from tests.event_loop_turns import turns_during
from tests.unit.api.delivery.test_bundles import token
from tests.unit.api.tools.driver import ACCOUNT, Api, Exchange, File, scope_of, script_at

from nightsafe.api.http.body import parse_json_in_thread
from nightsafe.api.http.envelope import list_reply, with_notices
from nightsafe.api.http.streaming import send_reply
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.delivery import admission
from nightsafe.services.scripts.content import SLICE

SIZE = 10 * SLICE + 1001
CODE = b"export default {}" + os.urandom(SIZE)
WORKERS = f"/client/v4/accounts/{ACCOUNT}/workers/workers"
LATEST = f"{WORKERS}/large/versions/latest?include=modules"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield an API with a script of some megabytes that has a second, small file."""
    with Api(tmp_path_factory.mktemp("large")) as api:
        assert api.upload("large", None, File("worker.js", CODE), File("more.js", b"more")).status == 200
        yield api


def messages(api: Api, target: str, bearer: tuple[bytes, bytes] | None = None) -> list[dict[str, Any]]:
    """Return the ASGI messages that answer a GET."""
    exchange = Exchange(scope_of("GET", target, [bearer or api.bearer]), [])
    api.run(api.app(exchange.scope, exchange.receive, exchange.send))
    return exchange.sent


def digest_of(api: Api, body: bytes) -> str:
    """Return the digest of the file with these contents."""
    files = api.run(modules_of(api.store, api.ref("large")))
    return next(file.digest.hex() for file in files if file.body == body)


@pytest.mark.parametrize("page", ["script", "content", "base64", "module"])
def test_a_large_script_is_sent_in_slices(large: Api, page: str) -> None:
    """Every page with file contents is sent in messages of at most one slice, and with its exact length."""
    target = {
        "script": script_at("large"),
        "content": f"{script_at('large')}/content/v2",
        "base64": LATEST,
        "module": f"/client/v4/accounts/{ACCOUNT}/nightsafe/modules/{digest_of(large, CODE)}",
    }[page]
    start, *bodies = messages(large, target, token(large) if page == "module" else None)

    assert start["status"] == 200
    body = b"".join(message["body"] for message in bodies)
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body)
    assert (base64.b64encode(CODE) if page == "base64" else CODE) in body
    assert max(len(message["body"]) for message in bodies) <= SLICE * 4 // 3 + 128 * 1024
    assert len(bodies) > SIZE // SLICE
    if page == "base64":
        files = json.loads(body)["result"]["modules"]
        assert [CODE, b"more"] == [base64.b64decode(file["content_base64"]) for file in files]


def test_a_large_script_is_sent_in_little_memory(large: Api) -> None:
    """Sending a large script never holds the whole script in memory."""

    async def receive() -> dict[str, Any]:
        """Return an empty body."""
        return {"type": "http.request", "body": b""}

    async def send(_: Any) -> None:
        """Discard the message."""

    for target in (script_at("large"), LATEST):
        tracemalloc.start()
        large.run(large.app(scope_of("GET", target, [large.bearer]), receive, send))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 7 * SLICE < SIZE


def test_a_script_deleted_while_it_is_sent_is_cut_off(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is cut short when its script is deleted, rather than filled up with other bytes."""
    assert own_api.upload("large", None, File("worker.js", CODE)).status == 200
    read, count = own_api.store.content_part, 0

    async def only_first(*arguments: Any) -> bytes | None:
        """Return the first part only."""
        nonlocal count
        count += 1
        return await read(*arguments) if count == 1 else None

    monkeypatch.setattr(own_api.store, "content_part", only_first)
    start, *bodies = messages(own_api, script_at("large"))
    sent = sum(len(message["body"]) for message in bodies)
    assert 0 < sent < int(dict(start["headers"])[b"content-length"])
    assert all(message["more_body"] for message in bodies)


async def test_a_long_list_is_sent_in_parts() -> None:
    """Items of a long list are sent in parts, and a notice added later leaves the list unchanged."""

    async def items() -> Any:
        """Yield a thousand items."""
        for number in range(1000):
            yield {"number": number}

    reply = with_notices(await list_reply(items()), [Problem(Code.INVALID, "a notice")])
    sent: list[Any] = []

    async def send(message: Any) -> None:
        """Record the message."""
        sent.append(message)

    await send_reply(send, reply)
    body = b"".join(message["body"] for message in sent[1:])
    assert len(reply.body) < 1000 < len(body) == reply.size
    assert [{"number": number} for number in range(1000)] == json.loads(body)["result"]
    assert len(json.loads(body)["messages"]) == 1


async def test_other_tasks_run_while_large_json_is_parsed() -> None:
    """Other tasks run while a large JSON body is parsed, and malformed JSON is still refused."""
    body = b"[" + b",".join([b"[1]"] * 20_000) + b"]"
    assert await turns_during(parse_json_in_thread(body)) >= 1
    assert await parse_json_in_thread(b"{}") == {}
    with pytest.raises(NightsafeError):
        await parse_json_in_thread(body[:-1])


async def test_large_code_is_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search finds its text anywhere, also across two parts, and lets other tasks run."""
    monkeypatch.setattr(admission, "_PART", 10)
    for start in range(30):
        assert await admission._contains(b"x" * start + b"export" + b"x" * 20, b"export")
    assert not await admission._contains(b"x" * 100, b"export")
    assert await turns_during(admission._contains(b"x" * 1000, b"export")) >= 50
