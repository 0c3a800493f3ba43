"""Sealing before sending: when the client seals, when it does not, and that sealing clients send no plaintext."""

import base64
import json
from typing import Any

import pytest
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.proofs import proven_record
from tests.unit.client.recorder import ACCOUNT, Answer, Either, answer, raw, refusal, settled

import nightsafe.client.client_sealed
from nightsafe.api.http.errors import TABLE
from nightsafe.client import BadRequestError, InternalServerError, SealingError, SecretRefusedError
from nightsafe.errors import Code
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.record import SealedValue
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.ring_signer import public_ring
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys

RING, SIGNER = PrivateRing.generate(), SigningKey.generate()
OTHER_RING = RING.rotated()
TEXT = {"name": "S", "text": "plaintext-of-the-test", "type": "secret_text"}
SECRET = {"name": "S", "type": "secret_text"}


def offered(ring: PrivateRing = RING, before: PrivateRing | None = None) -> Answer:
    """Return an answer in which a server offers the ring, which may be a rotation of `before`."""
    public = public_ring(ring, None, None if before is None else before.primary)
    return answer(json.loads(public.encode_offer()), result_info=json.loads(public.encode_proof()))


def opened(sent: dict[str, Any], *, namespace: str = "", public: bytes = b"", ring: PrivateRing = RING) -> bytes:
    """Return the plaintext of a sent binding, opened as the delivery process would in its place."""
    sealed = base64.b64decode(sent["encrypted_value"])
    assert SealedValue.parse(sealed).key_id == sent["key_id"]
    context = Context(
        account_id=ACCOUNT, namespace=namespace, script="s", name=sent["name"], kind=sent["type"], public=public
    )
    record = proven_record(SIGNER, context, sealed)
    return RecordOpener(VerifyKeys([SIGNER.verify_key]), ring).open(context, record).reveal()


def update(client: Any, **changed: object) -> Any:
    """Make the call that most tests make."""
    return client.workers.scripts.secrets.update("s", account_id=ACCOUNT, **{**TEXT, **changed})


async def test_a_value_is_sealed_to_its_place(either: Either) -> None:
    """The ring is requested once, and values are sent sealed and open in their place."""
    client = either.over(offered(), answer(SECRET), answer(SECRET), seal=True)
    await settled(update(client))
    first = either.recorder.body
    await settled(update(client.with_options(max_retries=0)))
    second = either.recorder.body

    ring, *puts = either.recorder.requests
    assert f"https://safe.test/client/v4/accounts/{ACCOUNT}/nightsafe/public-ring" == ring.url
    assert {"name", "type", "encrypted_value", "key_id"} == set(first) == set(second)
    assert TEXT["text"].encode() == opened(first) == opened(second)
    assert first["encrypted_value"] != second["encrypted_value"]
    assert not any(b"plaintext-of-the-test" in request.content for request in puts)


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
async def test_keys_are_sealed_with_their_metadata(either: Either, key_format: str) -> None:
    """A key is sealed with its metadata in the clear and bound to the seal, also in a dispatch namespace."""
    key = fresh_keys()[key_format]
    client = either.over(offered(), answer({"name": "K", **shown(key)}), seal=True)
    secrets = client.workers_for_platforms.dispatch.namespaces.scripts.secrets
    usages = tuple(key["usages"])
    await settled(
        secrets.update("s", account_id=ACCOUNT, dispatch_namespace="n", name="K", **{**key, "usages": usages})
    )

    body = either.recorder.body
    assert {"name": "K", **shown(key)} == {
        name: body[name] for name in body if name not in {"encrypted_value", "key_id"}
    }
    metadata = {name: key[name] for name in ("algorithm", "format", "usages")}
    public = json.dumps(metadata, separators=(",", ":"), sort_keys=True).encode()
    plain = opened(body, namespace="n", public=public)
    if key_format == "jwk":
        assert key["key_jwk"] == json.loads(plain)
    else:
        assert key["key_base64"] == base64.b64encode(plain).decode()


async def test_patches_and_uploads_are_sealed(either: Either) -> None:
    """Every secret of a patch and of an upload is sealed, and nothing else; sealed values are left unchanged."""
    client = either.over(offered(), answer({}), answer({"id": "s"}), answer({"id": "v"}), seal=True)
    scripts = client.workers.scripts
    already = {"name": "B", "type": "secret_text", "encrypted_value": "eA==", "key_id": "0" * 16}
    await settled(
        scripts.secrets.bulk_update(
            "s", account_id=ACCOUNT, secrets={"S": {**TEXT}, "B": already, "gone": None}, version_tags={"t": "1"}
        )
    )
    patched = either.recorder.body
    bindings = [{"type": "plain_text", "name": "V", "text": "shown"}, TEXT, {"type": "inherit", "name": "I"}]
    await settled(scripts.update("s", account_id=ACCOUNT, metadata={"bindings": bindings}, files=[b""]))
    await settled(scripts.versions.create("s", account_id=ACCOUNT, metadata={"bindings": bindings}, files=[b""]))

    assert ({"t": "1"}, None, already) == (
        patched["version_tags"],
        patched["secrets"]["gone"],
        patched["secrets"]["B"],
    )
    assert TEXT["text"].encode() == opened(patched["secrets"]["S"])
    for request in either.recorder.requests[2:]:
        assert b"plaintext-of-the-test" not in request.content
        assert b'{"type":"plain_text","name":"V","text":"shown"}' in request.content
        assert b'{"type":"inherit","name":"I"}' in request.content
        assert b'"encrypted_value":' in request.content


@pytest.mark.parametrize(
    "nothing",
    [
        refusal(404, 7003),
        refusal(400, 7000),
        refusal(403, 10000),
        refusal(405, 10405),
        raw(b"<html>not here</html>", 404),
        raw(b"<html>welcome</html>"),
        answer(None),
        answer([]),
        answer({"format": "another/1"}),
        refusal(200, 7003),
    ],
    ids=["7003", "7000", "10000", "10405", "page", "welcome", "null", "array", "another", "200"],
)
async def test_a_server_without_a_ring_gets_plaintext(either: Either, nothing: Answer) -> None:
    """A server without a ring gets plaintext, and is asked for a ring once."""
    client = either.over(nothing, answer(SECRET), answer(SECRET), seal=True)
    await settled(update(client))
    await settled(update(client))

    assert ["GET", "PUT", "PUT"] == [request.method for request in either.recorder.requests]
    assert TEXT == either.recorder.body


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(503, 10002),
        refusal(429, 971),
        refusal(401, 1000),
        refusal(403, 9109),
        refusal(400, 6003),
        refusal(400, 9103),
        refusal(400, 9106),
        raw(b"", 302, [("location", "https://elsewhere.test/")]),
        TimeoutError(),
        ConnectionError(),
    ],
)
async def test_nothing_is_sent_when_the_ring_cannot_be_read(either: Either, trouble: Answer) -> None:
    """When the ring cannot be read, or is refused to these credentials, nothing is sent."""
    client = either.over(trouble, seal=True, max_retries=0)

    with pytest.raises(nightsafe.client.APIError):
        await settled(update(client))

    assert ["GET"] == [request.method for request in either.recorder.requests]


async def test_nothing_is_sent_when_the_ring_is_unusable(either: Either) -> None:
    """A ring that cannot be used raises SealingError, and nothing is sent."""
    client = either.over(answer({"format": "nightsafe-public-ring/9", "keys": []}), seal=True)

    with pytest.raises(SealingError, match="cannot be used"):
        await settled(update(client))

    assert ["GET"] == [request.method for request in either.recorder.requests]


async def test_the_seal_setting_is_obeyed(either: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    """False requests no ring; "require" sends nothing without a ring or without the sealing libraries."""
    await settled(update(either.over(answer(SECRET), seal=False)))
    assert TEXT == either.recorder.body

    with pytest.raises(SealingError, match="offers no public ring"):
        await settled(update(either.over(refusal(404, 7003), seal="require")))
    assert ["GET"] == [request.method for request in either.recorder.requests]

    monkeypatch.setattr(nightsafe.client.client_sealed, "_is_installed", lambda: False)
    with pytest.raises(SealingError, match=r"pip install 'nightsafe\[seal\]'"):
        await settled(update(either.over(seal="require")))
    await settled(update(either.over(answer(SECRET), seal=True)))
    assert TEXT == either.recorder.body


async def test_cloudflare_is_not_asked_for_a_ring(either: Either) -> None:
    """Cloudflare is never asked for a ring."""
    await settled(update(either.over(answer(SECRET), seal=True, base_url=None)))

    assert "https://api.cloudflare.com/" in either.recorder.request.url


async def test_a_client_seals_again_after_a_rotation(either: Either) -> None:
    """After a refusal that points at the key, the client requests the ring again and seals again."""
    stale = refusal(400, 10021, source={"pointer": "/key_id"})
    client = either.over(offered(), answer(SECRET), stale, offered(OTHER_RING, RING), answer(SECRET), seal=True)
    await settled(update(client))
    await settled(update(client))

    assert ["GET", "PUT", "PUT", "GET", "PUT"] == [request.method for request in either.recorder.requests]
    assert TEXT["text"].encode() == opened(either.recorder.body, ring=OTHER_RING)


async def test_a_second_refusal_of_the_key_is_raised(either: Either) -> None:
    """When the second try is refused too, the refusal is raised; a fresh ring is not requested again."""
    stale = refusal(400, 10021, source={"pointer": "/secrets/S/key_id"})
    fresh = either.over(offered(), stale, seal=True)
    with pytest.raises(BadRequestError):
        await settled(update(fresh))
    assert 2 == len(either.recorder.requests)

    client = either.over(offered(), answer(SECRET), stale, offered(), stale, seal=True)
    await settled(update(client))
    with pytest.raises(BadRequestError):
        await settled(update(client))
    assert [] == either.recorder.answers


@pytest.mark.parametrize("gone", [refusal(404, 7003), answer(None), raw(b"<html>")], ids=["7003", "null", "page"])
async def test_no_plaintext_is_sent_when_the_ring_is_gone(either: Either, gone: Answer) -> None:
    """When the ring is gone after a key was refused, the refusal is raised and nothing is sent in the clear."""
    stale = refusal(400, 10021, source={"pointer": "/key_id"})
    client = either.over(offered(), answer(SECRET), stale, gone, seal=True)
    await settled(update(client))
    with pytest.raises(BadRequestError):
        await settled(update(client))

    assert ["GET", "PUT", "PUT", "GET"] == [request.method for request in either.recorder.requests]
    assert not any(b"plaintext-of-the-test" in request.content for request in either.recorder.requests)


@pytest.mark.parametrize(
    ("changed", "code", "pointer"),
    [
        ({"text": "x" * 5121}, Code.BINDING_TOO_LARGE, "/text"),
        ({"name": ""}, Code.BINDING_UNNAMED, "/name"),
        ({"name": "x" * 2713}, Code.BINDING_NAME_TOO_LONG, "/name"),
        ({"text": 1}, Code.INVALID, "/text"),
        ({"type": "secret_key"}, Code.INVALID, "/format"),
    ],
)
async def test_an_invalid_secret_is_refused_before_it_is_sent(
    either: Either, changed: dict[str, object], code: Code, pointer: str
) -> None:
    """An invalid secret raises the server's code and message as a BadRequestError, and nothing is sent."""
    client = either.over(offered(), seal=True)

    with pytest.raises(SecretRefusedError, match=r"Error code: 400 - .*nothing was sent") as raised:
        await settled(update(client, **changed))

    [error] = raised.value.errors
    assert (TABLE[code].code, pointer) == (error.code, error.pointer)
    assert error.message.startswith(TABLE[code].message.split("{detail}")[0])
    assert isinstance(raised.value, BadRequestError)
    assert 400 == raised.value.status_code
    assert "x" * 5000 not in str(raised.value)


async def test_every_invalid_secret_is_named(either: Either) -> None:
    """Every invalid secret of a patch or an upload is named, with the server's pointers."""
    client = either.over(offered(), seal=True)
    scripts = client.workers.scripts
    bad = {**TEXT, "text": "x" * 5121}
    with pytest.raises(SecretRefusedError) as raised:
        await settled(
            scripts.secrets.bulk_update(
                "s", account_id=ACCOUNT, secrets={"a/b": {**bad, "name": "a/b"}, "S": {"type": "secret_text"}}
            )
        )
    assert ["/secrets/a~1b/text", "/secrets/S/text"] == [error.pointer for error in raised.value.errors]
    with pytest.raises(SecretRefusedError) as raised:
        await settled(scripts.update("s", account_id=ACCOUNT, metadata={"bindings": [TEXT, bad]}, files=[b""]))
    assert ["/bindings/1/text"] == [error.pointer for error in raised.value.errors]
    assert ["GET"] == [request.method for request in either.recorder.requests]


async def test_each_server_and_account_has_its_ring(either: Either) -> None:
    """The ring is requested for each server and each account."""
    client = either.over(*[offered(), answer(SECRET)] * 2, refusal(500, 10002), seal=True, max_retries=0)
    await settled(update(client))
    await settled(update(client.with_options(base_url="https://other.test")))
    with pytest.raises(InternalServerError):
        await settled(client.workers.scripts.secrets.update("s", account_id="a" * 32, **TEXT))

    assert ["safe.test", "safe.test", "other.test", "other.test", "safe.test"] == [
        request.origin.host for request in either.recorder.requests
    ]
