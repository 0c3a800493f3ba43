"""Searches of the API process's memory for values that it has received."""

import base64
import json
import re
import secrets
from collections.abc import Iterator

import pytest
from tests.clients.wire.talk import JSON, SCRIPTS, Wire, form
from tests.live.tools.running import memory_of
from tests.server import ACCOUNT, Server, make_safe

from nightsafe.api.http.body import parse_json
from nightsafe.errors import NightsafeError
from nightsafe.secret_value import SecretValue

ROUNDS = 16
SIZES = (4, 8, 16, 20, 40, 80, 150, 250, 600)
"""Sizes of the values, in bytes before they are written in hexadecimal."""

MARKS = (b"planted-", base64.b64encode(b"planted-a")[:10])
"""The beginning of every value, as it is and in base64."""

ACCOUNTS = f"/client/v4/accounts/{ACCOUNT}"
SPACE = f"{ACCOUNTS}/workers/dispatch/namespaces"
STORES = f"{ACCOUNTS}/secrets_store/stores"
HMAC = {"algorithm": {"name": "HMAC", "hash": "SHA-256"}, "usages": ["sign"], "type": "secret_key"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server for this module only, with the memory of a new interpreter."""
    with Server(make_safe(tmp_path_factory.mktemp("memory")), cold=True) as running:
        yield running


@pytest.fixture(scope="module")
def overwriting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server whose interpreter overwrites the memory that it frees."""
    safe = make_safe(tmp_path_factory.mktemp("overwriting"))
    with Server(safe, environ={"PYTHONMALLOC": "debug"}) as running:
        yield running


class Planting:
    """Sends values to the API in every way in which it takes them.

    Args:
        wire: a client with the owner's token.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.planted = 0
        wire.upload("holder")
        assert wire.send("POST", SPACE, {"name": "space"}).status == 200
        made = wire.send("POST", STORES, {"name": "store"}).result
        self._secrets = f"{STORES}/{(made[0] if isinstance(made, list) else made)['id']}/secrets"
        first = [{"name": "first", "value": self._text("store"), "scopes": ["workers"]}]
        self._stored = wire.send("POST", self._secrets, first).result[0]["id"]

    def _text(self, way: str, size: int = 0) -> str:
        """Return a new value that contains the name of the way in which it is sent."""
        self.planted += 1
        size = size or SIZES[self.planted % len(SIZES)]
        return f"planted-{way}-{secrets.token_hex(size)}"

    def round(self) -> list[int]:
        """Send one request of each kind; return the statuses."""
        wire, put = self._wire, f"{SCRIPTS}/holder/secrets"
        raw = self._text("key", 16).encode()
        lines = f"{self._text('line')}\n{self._text('line')}\n\u20ac"
        bulk = {name: {"type": "secret_text", "text": self._text("bulk")} for name in "ABC"}
        uploads = [self._form("upload"), self._form("version"), self._form("dispatched")]
        kind = [("Content-Type", uploads[0][0])]
        key = {"name": "KEY", "format": "raw", "key_base64": base64.b64encode(raw).decode(), **HMAC}
        broken = b'{"name":"A","type":"secret_text","text":"' + self._text("broken").encode() + b'",}'
        answers = [
            wire.put("holder", "TEXT", self._text("text")),
            wire.put("holder", "LONG", self._text("long", 2000)),
            wire.put("holder", "LINES", lines),
            wire.send("PUT", put, key),
            wire.patch("holder", bulk),
            wire.ask("PUT", f"{SCRIPTS}/other", uploads[0][1], kind),
            wire.ask("POST", f"{SCRIPTS}/other/versions", uploads[1][1], kind),
            wire.ask("PUT", f"{SPACE}/space/scripts/inner", uploads[2][1], kind),
            wire.send("PATCH", f"{self._secrets}/{self._stored}", {"value": self._text("store")}),
            wire.put("holder", "REFUSED", self._text("refused"), format=["x"], kind=1, type="secret_key"),
            wire.ask("PUT", put, broken, [JSON]),
            wire.ask(
                "PUT", put, broken.replace(b"}", b" "), [JSON], credentials=[("Authorization", "Bearer nobody")]
            ),
        ]
        return [answer.status for answer in answers]

    def _form(self, way: str) -> tuple[str, bytes]:
        """Return the content type and the body of an upload with one secret."""
        bindings = [{"type": "secret_text", "name": "TOKEN", "text": self._text(way)}]
        return form({"metadata": json.dumps({"main_module": "worker.js", "bindings": bindings}).encode()})


def left(pid: int) -> list[bytes]:
    """Return the beginnings of values in a process's memory."""
    return [
        part[at : at + 40]
        for part in memory_of(pid)
        for mark in MARKS
        for at in (found.start() for found in re.finditer(re.escape(mark), part))
    ]


def sent_to(server: Server) -> int:
    """Send many values; return how many."""
    with Wire.to(server) as wire:
        planting = Planting(wire)
        for _ in range(ROUNDS):
            assert [200] * 9 + [400, 400, 403] == planting.round()
    return planting.planted


def test_some_are_left(server: Server) -> None:
    """After an API process has received hundreds of values of mixed lengths, its memory may still hold a fifth of
    them: Python does not overwrite freed memory until it needs it again.

    Each value is counted once, however often the memory contains it.
    """
    planted = sent_to(server)

    assert planted > 200
    assert len(set(left(server.pid))) * 5 <= planted


def test_no_values_are_left_with_debug_malloc(overwriting: Server) -> None:
    """With `PYTHONMALLOC=debug` in the environment, all memory that Python frees in the API process is overwritten
    too.
    """
    assert sent_to(overwriting) > 200
    assert [] == left(overwriting.pid)


def test_the_memory_of_bodies_is_overwritten(overwriting: Server) -> None:
    """The memory of a received body is overwritten when it is freed.

    Python's own copies are overwritten here too, so any copy that is found would be in the memory of a received body.
    """
    kind = [("Content-Type", "text/html")]
    with Wire.to(overwriting) as wire:
        for size in SIZES * 8:
            body = b"planted-body-%b" % secrets.token_hex(size).encode() * 20
            assert 400 == wire.ask("PUT", f"{SCRIPTS}/other", body, kind).status

    assert [] == left(overwriting.pid)


def test_buffers() -> None:
    """The buffers of a JSON body and of a value are overwritten as soon as they are not needed."""
    body = bytearray(b'{"text": "planted"}')
    assert {"text": "planted"} == parse_json(body)
    refused = bytearray(b'{"text": "planted",}')
    with pytest.raises(NightsafeError):
        parse_json(refused)
    value = SecretValue(b"planted")
    buffer = value._buffer
    del value

    assert [bytes(19), bytes(20), b""] == [bytes(one) for one in (body, refused, buffer)]
