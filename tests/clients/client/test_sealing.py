"""Sealing before sending, from our client through the real server to what the delivery side would open."""

import asyncio
import base64
import json
import os
from typing import Any

import pytest
from cloudflare import Cloudflare, omit
from tests.clients.canaries import forms
from tests.clients.opened import opened
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.wire.talk import Wire
from tests.server import ACCOUNT, Server

from nightsafe.client import (
    BadRequestError,
    HttpTransport,
    Nightsafe,
    NotPermittedError,
    Request,
    Response,
    ScriptNotFoundError,
    Timeout,
)
from nightsafe.sealing.context import Context
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.secret_value import SecretValue

RING = f"/client/v4/accounts/{ACCOUNT}/nightsafe/public-ring"
MODULE = ("worker.js", b"export default {};", "application/javascript+module")
METADATA = {"main_module": "worker.js"}


class Listening:
    """A transport that keeps every byte that is sent."""

    def __init__(self) -> None:
        self._transport = HttpTransport()
        self.sent: list[Request] = []

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Keep it, send it."""
        self.sent.append(request)
        return self._transport.send(request, timeout)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def values_of(server: Server, script: str) -> dict[str, str]:
    """The script's values, as the delivery side would open them."""
    return await asyncio.to_thread(opened, server.safe, script)


async def test_values_arrive(either: Any, server: Server, script: str) -> None:
    """Put, patched, uploaded: each opens at its place to what was given."""
    secrets = either.workers.scripts.secrets
    text = {"type": "secret_text"}
    await settled(secrets.update(script, account_id=ACCOUNT, name="put", text="1\u2603", type="secret_text"))
    await settled(
        secrets.bulk_update(
            script,
            account_id=ACCOUNT,
            secrets={"a/b": {**text, "name": "a/b", "text": "2"}, "empty": {**text, "name": "empty", "text": ""}},
        )
    )
    bindings = [{**text, "name": "uploaded", "text": "x" * 5120}, {"type": "plain_text", "name": "V", "text": "y"}]
    await settled(
        either.workers.scripts.update(
            script, account_id=ACCOUNT, metadata={**METADATA, "bindings": bindings}, files=[MODULE]
        )
    )

    assert {"put": "1\u2603", "a/b": "2", "empty": "", "uploaded": "x" * 5120} == await values_of(server, script)


async def test_versions_take_sealed_values(either: Any, server: Server, script: str) -> None:
    """An upload that is not deployed as well."""
    metadata = {**METADATA, "bindings": [{"type": "secret_text", "name": "S", "text": "later"}]}
    await settled(
        either.workers.scripts.versions.create(script, account_id=ACCOUNT, metadata=metadata, files=[MODULE])
    )

    assert {"S": "later"} == await values_of(server, script)


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
async def test_sealed_keys(either: Any, script: str, key_format: str) -> None:
    """They are shown as ever."""
    key = fresh_keys()[key_format]
    await settled(either.workers.scripts.secrets.update(script, account_id=ACCOUNT, name="K", **key))
    [listed] = await gathered(either.workers.scripts.secrets.list(script, account_id=ACCOUNT))

    assert shown(key)["algorithm"] == listed.algorithm
    assert key_format == listed.format


def test_no_plaintext_leaves_the_process(server: Server, script: str) -> None:
    """By no call, accepted or refused, in no form, is a value in what goes out; without sealing it is."""
    planted = [f"canary-{os.urandom(12).hex()}" for _ in range(4)]
    key = {**fresh_keys()["raw"], "key_base64": base64.b64encode(os.urandom(32)).decode()}
    listening = Listening()
    with Nightsafe(api_token=server.safe.api_token, base_url=server.base_url, http_client=listening) as client:
        scripts = client.workers.scripts
        text: dict[str, Any] = {"account_id": ACCOUNT, "name": "S", "type": "secret_text"}
        scripts.secrets.update(script, text=planted[0], **text)
        scripts.secrets.update(script, account_id=ACCOUNT, name="K", **key)
        scripts.secrets.bulk_update(
            script, account_id=ACCOUNT, secrets={"T": {"name": "T", "type": "secret_text", "text": planted[1]}}
        )
        bindings = [{"type": "secret_text", "name": "U", "text": planted[2]}]
        scripts.update(script, account_id=ACCOUNT, metadata={**METADATA, "bindings": bindings}, files=[MODULE])
        with pytest.raises(BadRequestError):
            scripts.secrets.update(script, text=planted[3] * 400, **text)
        with pytest.raises(ScriptNotFoundError):
            scripts.secrets.update(f"{script}-absent", text=planted[3], **text)
        sent = b"\n".join(request.content + request.target for request in listening.sent)
        canaries = [*(one.encode() for one in planted), base64.b64decode(key["key_base64"])]

        assert [] == [form for canary in canaries for form in forms(canary) if form in sent]
        client.with_options(seal=False).workers.scripts.secrets.update(script, text=planted[0], **text)
        assert planted[0].encode() in listening.sent[-1].content


def test_the_ring_is_public(server: Server, wire: Wire) -> None:
    """It is the one in the safe, without anything that opens; for whoever sees the account, and only to be read."""
    ring = wire.ask("GET", RING).result
    private = PrivateRing.load(server.safe.private_ring)

    assert json.loads(private.public().offered()) == ring
    assert [{"id", "suite", "state", "public"}] == [set(key) for key in ring["keys"]]
    assert (405, [10405]) == wire.ask("PUT", RING, b"{}", [("Content-Type", "application/json")]).refusal
    assert (403, [10000]) == wire.ask("GET", RING.replace(ACCOUNT, "f" * 32)).refusal
    assert (403, [10000]) == wire.ask("GET", RING, credentials=[("Authorization", "Bearer unknown")]).refusal
    assert (400, [9106]) == wire.ask("GET", RING, credentials=()).refusal


def sealed_for(server: Server, script: str, ring: PublicRing | None = None, name: str = "S") -> dict[str, str]:
    """A sealed secret text as any client could make it."""
    ring = ring or PrivateRing.load(server.safe.private_ring).public()
    place = Context(account_id=ACCOUNT, namespace="", script=script, name=name, kind="secret_text")
    sealed = RingSealer(ring).seal(place, SecretValue(b"by hand"))
    return {
        "name": name,
        "type": "secret_text",
        "encrypted_value": base64.b64encode(sealed).decode(),
        "key_id": ring.primary.id,
    }


def test_any_client_may_send_sealed_values(server: Server, script: str) -> None:
    """The official SDK does with `extra_body`."""
    body = sealed_for(server, script)
    with Cloudflare(api_token=server.safe.api_token, base_url=server.base_url) as official:
        update: Any = official.workers.scripts.secrets.update  # whose types want a value in the clear
        made = update(script, account_id=ACCOUNT, name="S", type="secret_text", text=omit, extra_body=body)

    assert made.name == "S"
    assert {"S": "by hand"} == opened(server.safe, script)


def test_what_is_refused(wire: Wire, server: Server, script: str) -> None:
    """A key that is unknown, a value that does not parse, both values: with a pointer, in a PUT and in a patch."""
    good = sealed_for(server, script)
    stranger = sealed_for(server, script, PrivateRing.generate().public())
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/{script}"
    for body, pointer, words in (
        (stranger, "key_id", "not in the ring"),
        ({**good, "key_id": stranger["key_id"]}, "key_id", "is not the key that"),
        ({**good, "encrypted_value": "AAAA"}, "encrypted_value", "not a sealed value"),
        ({**good, "encrypted_value": "not base64"}, "encrypted_value", "not base64"),
        ({**good, "text": "plaintext"}, "text", "give only one of them"),
        ({**good, "encrypted_value": None}, "encrypted_value", "must be a string"),
    ):
        put = wire.send("PUT", f"{path}/secrets", body)
        patch = wire.send("PATCH", f"{path}/secrets-bulk", {"secrets": {"S": body}})
        assert ((400, [10021]), [f"/{pointer}"]) == (put.refusal, put.pointers)
        assert ((400, [10021]), [f"/secrets/S/{pointer}"]) == (patch.refusal, patch.pointers)
        assert words in put.messages[0]
    assert [] == wire.names(script)


def test_a_sealed_value_of_another_place(wire: Wire, server: Server, script: str) -> None:
    """It is taken in, for it cannot be told from another, and opens nowhere."""
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/{script}/secrets"
    assert 200 == wire.send("PUT", path, {**sealed_for(server, script, name="S"), "name": "T"}).status

    with pytest.raises(Exception, match="cannot open"):
        opened(server.safe, script)


async def test_a_token_that_sees_no_account(either: Any, script: str) -> None:
    """It is refused as ever."""
    stranger = either.with_options(api_token="unknown")
    with pytest.raises(NotPermittedError):
        await settled(
            stranger.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="S", text="x", type="secret_text"
            )
        )
