"""Client-side sealing: values that our client seals, through the real server to delivery."""

import asyncio
import base64
import json
import os
from typing import Any

import pytest
from cloudflare import Cloudflare, omit
from tests.clients.canaries import forms
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.stored_values import opened
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


class KeepingTransport:
    """A transport that keeps every request that it sends."""

    def __init__(self) -> None:
        self._transport = HttpTransport()
        self.sent: list[Request] = []

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Keep the request and send it."""
        self.sent.append(request)
        return self._transport.send(request, timeout)

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()


async def values_of(server: Server, script: str) -> dict[str, str]:
    """Return the script's values as delivery would open them."""
    return await asyncio.to_thread(opened, server.safe, script)


async def test_sealed_values_can_be_opened(either: Any, server: Server, script: str) -> None:
    """Values from a put, a patch and an upload can be opened and are unchanged."""
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


async def test_sealed_values_of_versions_can_be_opened(either: Any, server: Server, script: str) -> None:
    """A value in a version that is not deployed is sealed and can be opened too."""
    metadata = {**METADATA, "bindings": [{"type": "secret_text", "name": "S", "text": "later"}]}
    await settled(
        either.workers.scripts.versions.create(script, account_id=ACCOUNT, metadata=metadata, files=[MODULE])
    )

    assert {"S": "later"} == await values_of(server, script)


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
async def test_sealed_keys_show_algorithm_and_format(either: Any, script: str, key_format: str) -> None:
    """A sealed key is listed with its algorithm and format."""
    key = fresh_keys()[key_format]
    await settled(either.workers.scripts.secrets.update(script, account_id=ACCOUNT, name="K", **key))
    [listed] = await gathered(either.workers.scripts.secrets.list(script, account_id=ACCOUNT))

    assert shown(key)["algorithm"] == listed.algorithm
    assert key_format == listed.format


def test_no_plaintext_leaves_the_process(server: Server, script: str) -> None:
    """No request contains a value in any form, whether it is accepted or refused; with `seal=False` it does."""
    canary_texts = [f"canary-{os.urandom(12).hex()}" for _ in range(4)]
    key = {**fresh_keys()["raw"], "key_base64": base64.b64encode(os.urandom(32)).decode()}
    transport = KeepingTransport()
    with Nightsafe(api_token=server.safe.api_token, base_url=server.base_url, http_client=transport) as client:
        scripts = client.workers.scripts
        text: dict[str, Any] = {"account_id": ACCOUNT, "name": "S", "type": "secret_text"}
        scripts.secrets.update(script, text=canary_texts[0], **text)
        scripts.secrets.update(script, account_id=ACCOUNT, name="K", **key)
        scripts.secrets.bulk_update(
            script, account_id=ACCOUNT, secrets={"T": {"name": "T", "type": "secret_text", "text": canary_texts[1]}}
        )
        bindings = [{"type": "secret_text", "name": "U", "text": canary_texts[2]}]
        scripts.update(script, account_id=ACCOUNT, metadata={**METADATA, "bindings": bindings}, files=[MODULE])
        with pytest.raises(BadRequestError):
            scripts.secrets.update(script, text=canary_texts[3] * 400, **text)
        with pytest.raises(ScriptNotFoundError):
            scripts.secrets.update(f"{script}-absent", text=canary_texts[3], **text)
        sent = b"\n".join(request.content + request.target for request in transport.sent)
        canaries = [*(text.encode() for text in canary_texts), base64.b64decode(key["key_base64"])]

        assert [] == [form for canary in canaries for form in forms(canary) if form in sent]
        client.with_options(seal=False).workers.scripts.secrets.update(script, text=canary_texts[0], **text)
        assert canary_texts[0].encode() in transport.sent[-1].content


def test_the_ring_is_public_and_read_only(server: Server, wire: Wire) -> None:
    """The offered ring equals the safe's public ring; only callers with access to the account can read it."""
    ring = wire.ask("GET", RING).result
    private = PrivateRing.load(server.safe.private_ring)

    assert json.loads(private.public().encode_offer()) == ring
    assert [{"id", "suite", "state", "public"}] == [set(key) for key in ring["keys"]]
    assert (405, [10405]) == wire.ask("PUT", RING, b"{}", [("Content-Type", "application/json")]).refusal
    assert (403, [10000]) == wire.ask("GET", RING.replace(ACCOUNT, "f" * 32)).refusal
    assert (403, [10000]) == wire.ask("GET", RING, credentials=[("Authorization", "Bearer unknown")]).refusal
    assert (400, [9106]) == wire.ask("GET", RING, credentials=()).refusal


def sealed_for(server: Server, script: str, ring: PublicRing | None = None, name: str = "S") -> dict[str, str]:
    """Return a sealed secret text that any client could make."""
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
    """The official SDK can send a sealed value with `extra_body`."""
    body = sealed_for(server, script)
    with Cloudflare(api_token=server.safe.api_token, base_url=server.base_url) as official:
        update: Any = official.workers.scripts.secrets.update  # its types require a plaintext value
        made = update(script, account_id=ACCOUNT, name="S", type="secret_text", text=omit, extra_body=body)

    assert made.name == "S"
    assert {"S": "by hand"} == opened(server.safe, script)


def test_invalid_sealed_values_are_refused(wire: Wire, server: Server, script: str) -> None:
    """An unknown key, an invalid value and two values at once are refused with a pointer, in a PUT and in a patch."""
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


def test_a_value_sealed_for_another_name_cannot_be_opened(wire: Wire, server: Server, script: str) -> None:
    """The server accepts it, since it cannot recognise it, but the value cannot be opened."""
    path = f"/client/v4/accounts/{ACCOUNT}/workers/scripts/{script}/secrets"
    assert 200 == wire.send("PUT", path, {**sealed_for(server, script, name="S"), "name": "T"}).status

    with pytest.raises(Exception, match="cannot open"):
        opened(server.safe, script)


async def test_an_unknown_token_is_not_permitted(either: Any, script: str) -> None:
    """The client raises NotPermittedError."""
    stranger = either.with_options(api_token="unknown")
    with pytest.raises(NotPermittedError):
        await settled(
            stranger.workers.scripts.secrets.update(
                script, account_id=ACCOUNT, name="S", text="x", type="secret_text"
            )
        )
