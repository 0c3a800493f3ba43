"""Keys used through `crypto.subtle` in a Worker, checked against Python's cryptography."""

import hmac
import json
import os
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from tests.delivery.keys import CURVES, Fields, binding, encode, private_forms, public_forms, symmetric_forms
from tests.delivery.runtime import Runtime

VECTORS = Path(__file__).parents[2] / "vectors" / "secret-keys"
RSA = rsa.generate_private_key(65537, 2048)
SHA256 = hashes.SHA256()
MESSAGE = b"the message"

# Calls one method of crypto.subtle. In requests and answers {"bytes"} stands for bytes and {"key"} for a binding.
SCRIPT = """
const plain = (value) => {
  if (value instanceof ArrayBuffer) return { bytes: btoa(String.fromCharCode(...new Uint8Array(value))) };
  if (value instanceof CryptoKey) return { type: value.type, usages: value.usages, extractable: value.extractable };
  return value;
};
export default {
  async fetch(request, env) {
    const { method, args } = JSON.parse(await request.text(), (name, value) => {
      if (value?.bytes !== undefined) return Uint8Array.from(atob(value.bytes), (c) => c.charCodeAt(0));
      return value?.key === undefined ? value : env[value.key];
    });
    if (method === "show") return Response.json(Object.entries(env).map(([name, key]) => ({ name, ...plain(key) })));
    if (method === "wrap") {
      const inner = await crypto.subtle.importKey("raw", args[0], args[1], true, ["sign"]);
      return Response.json(plain(await crypto.subtle.wrapKey("raw", inner, args[2], "AES-KW")));
    }
    const made = await crypto.subtle[method](...args);
    if (method === "unwrapKey") return Response.json(plain(await crypto.subtle.exportKey("raw", made)));
    return Response.json(plain(made));
  },
};
"""


class Subtle:
    """`crypto.subtle` inside a Worker with the given keys.

    Args:
        runtime: the delivery process that runs the Worker.
        keys: the key bindings of the Worker.
    """

    def __init__(self, runtime: Runtime, *keys: Fields) -> None:
        self._runtime = runtime
        self._keys = keys

    async def start(self) -> "Subtle":
        """Upload the Worker."""
        await self._runtime.upload("keys", SCRIPT, self._keys)
        return self

    async def call(self, method: str, *args: object) -> Any:
        """Call a method of `crypto.subtle`; return bytes as bytes."""
        answer = await self._runtime.client.post(
            "/", headers={"nightsafe-script": "keys"}, content=encode({"method": method, "args": args})
        )
        assert 200 == answer.status_code, answer.text
        told = answer.json()
        return b64decode(told["bytes"]) if isinstance(told, dict) and "bytes" in told else told


def key(name: str) -> Fields:
    """Return the placeholder of a key binding in a call."""
    return {"key": name}


async def test_hmac_keys_sign_and_verify(runtime: Runtime) -> None:
    """Raw and JWK: Python and the Worker accept each other's signatures."""
    data, algorithm = os.urandom(32), {"name": "HMAC", "hash": "SHA-256"}
    forms = dict(symmetric_forms(data))
    keys = [binding(name, form, algorithm, "sign", "verify") for name, form in forms.items()]
    subtle = await Subtle(runtime, *keys).start()
    expected = hmac.digest(data, MESSAGE, "sha256")

    for name in forms:
        assert expected == await subtle.call("sign", "HMAC", key(name), MESSAGE)
        assert await subtle.call("verify", "HMAC", key(name), expected, MESSAGE)


@pytest.mark.parametrize("size", [16, 24, 32])
async def test_aes_keys_encrypt_and_decrypt(runtime: Runtime, size: int) -> None:
    """GCM, CBC, CTR and KW, raw and JWK: each side decrypts the other's messages."""
    data, iv, nonce = os.urandom(size), os.urandom(16), os.urandom(12)
    parameters = {
        "AES-GCM": {"name": "AES-GCM", "iv": nonce},
        "AES-CBC": {"name": "AES-CBC", "iv": iv},
        "AES-CTR": {"name": "AES-CTR", "counter": iv, "length": 64},
    }
    forms = dict(symmetric_forms(data))
    usages = ("encrypt", "decrypt", "wrapKey", "unwrapKey")
    keys = [
        binding(f"{name}/{at}", form, {"name": name}, *usages) for name in parameters for at, form in forms.items()
    ]
    keys += [binding(f"AES-KW/{at}", form, "AES-KW", "wrapKey", "unwrapKey") for at, form in forms.items()]
    subtle = await Subtle(runtime, *keys).start()
    padded = PKCS7(128).padder()
    block = padded.update(MESSAGE) + padded.finalize()
    cbc = Cipher(algorithms.AES(data), modes.CBC(iv)).encryptor()
    expected = {
        "AES-GCM": AESGCM(data).encrypt(nonce, MESSAGE, None),
        "AES-CBC": cbc.update(block) + cbc.finalize(),
        "AES-CTR": Cipher(algorithms.AES(data), modes.CTR(iv)).encryptor().update(MESSAGE),
    }

    for name, arguments in parameters.items():
        for at in forms:
            assert expected[name] == await subtle.call("encrypt", arguments, key(f"{name}/{at}"), MESSAGE)
            assert MESSAGE == await subtle.call("decrypt", arguments, key(f"{name}/{at}"), expected[name])
    inner, hashed = os.urandom(32), {"name": "HMAC", "hash": "SHA-256"}
    for at in forms:
        wrapped = aes_key_wrap(data, inner)
        assert inner == aes_key_unwrap(data, await subtle.call("wrap", inner, hashed, key(f"AES-KW/{at}")))
        arguments = ("raw", wrapped, key(f"AES-KW/{at}"), "AES-KW", hashed, True, ["sign"])
        assert inner == await subtle.call("unwrapKey", *arguments)


@pytest.mark.parametrize("name", ["RSASSA-PKCS1-v1_5", "RSA-PSS"])
async def test_rsa_keys_sign_and_verify(runtime: Runtime, name: str) -> None:
    """Private keys as PKCS #8 and JWK, public keys as SPKI and JWK."""
    algorithm = {"name": name, "hash": "SHA-256"}
    scheme = padding.PKCS1v15() if name.startswith("RSASSA") else padding.PSS(padding.MGF1(SHA256), 32)
    arguments = {"name": name} | ({} if name.startswith("RSASSA") else {"saltLength": 32})
    private, public = dict(private_forms(RSA)), dict(public_forms(RSA))
    keys = [binding(f"sign/{at}", form, algorithm, "sign") for at, form in private.items()]
    keys += [binding(f"verify/{at}", form, algorithm, "verify") for at, form in public.items()]
    subtle = await Subtle(runtime, *keys).start()

    for at in private:
        signature = await subtle.call("sign", arguments, key(f"sign/{at}"), MESSAGE)
        RSA.public_key().verify(signature, MESSAGE, scheme, SHA256)
    for at in public:
        signature = RSA.sign(MESSAGE, scheme, SHA256)
        assert await subtle.call("verify", arguments, key(f"verify/{at}"), signature, MESSAGE)
        assert not await subtle.call("verify", arguments, key(f"verify/{at}"), signature, b"another message")


async def test_rsa_oaep_keys_encrypt_and_decrypt(runtime: Runtime) -> None:
    """Private keys as PKCS #8 and JWK, public keys as SPKI and JWK: each side decrypts the other's messages."""
    algorithm = {"name": "RSA-OAEP", "hash": "SHA-256"}
    scheme = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
    private, public = dict(private_forms(RSA)), dict(public_forms(RSA))
    keys = [binding(f"decrypt/{at}", form, algorithm, "decrypt", "unwrapKey") for at, form in private.items()]
    keys += [binding(f"encrypt/{at}", form, algorithm, "encrypt", "wrapKey") for at, form in public.items()]
    subtle = await Subtle(runtime, *keys).start()

    for at in private:
        closed = RSA.public_key().encrypt(MESSAGE, scheme)
        assert MESSAGE == await subtle.call("decrypt", {"name": "RSA-OAEP"}, key(f"decrypt/{at}"), closed)
    for at in public:
        closed = await subtle.call("encrypt", {"name": "RSA-OAEP"}, key(f"encrypt/{at}"), MESSAGE)
        assert RSA.decrypt(closed, scheme) == MESSAGE


@pytest.mark.parametrize("curve", CURVES)
async def test_ecdsa_keys_sign_and_verify(runtime: Runtime, curve: str) -> None:
    """Private keys as PKCS #8 and JWK, public keys as SPKI, JWK and raw."""
    own, algorithm = ec.generate_private_key(CURVES[curve]), {"name": "ECDSA", "namedCurve": curve}
    arguments, size = {"name": "ECDSA", "hash": "SHA-256"}, (own.key_size + 7) // 8
    private, public = dict(private_forms(own)), dict(public_forms(own))
    keys = [binding(f"sign/{at}", form, algorithm, "sign") for at, form in private.items()]
    keys += [binding(f"verify/{at}", form, algorithm, "verify") for at, form in public.items()]
    subtle = await Subtle(runtime, *keys).start()

    for at in private:
        made = await subtle.call("sign", arguments, key(f"sign/{at}"), MESSAGE)
        pair = int.from_bytes(made[:size], "big"), int.from_bytes(made[size:], "big")
        own.public_key().verify(encode_dss_signature(*pair), MESSAGE, ec.ECDSA(SHA256))
    pair = decode_dss_signature(own.sign(MESSAGE, ec.ECDSA(SHA256)))
    signature = b"".join(number.to_bytes(size, "big") for number in pair)
    for at in public:
        assert await subtle.call("verify", arguments, key(f"verify/{at}"), signature, MESSAGE)
        assert not await subtle.call("verify", arguments, key(f"verify/{at}"), signature, b"another message")


@pytest.mark.parametrize("algorithm", [{"name": "Ed25519"}, {"name": "NODE-ED25519", "namedCurve": "NODE-ED25519"}])
async def test_ed25519_keys_sign_and_verify(runtime: Runtime, algorithm: Fields) -> None:
    """Both algorithm names; private keys as PKCS #8 and JWK, public keys as SPKI, JWK and raw."""
    own = Ed25519PrivateKey.generate()
    private, public = dict(private_forms(own)), dict(public_forms(own))
    keys = [binding(f"sign/{at}", form, algorithm, "sign") for at, form in private.items()]
    keys += [binding(f"verify/{at}", form, algorithm, "verify") for at, form in public.items()]
    subtle = await Subtle(runtime, *keys).start()
    expected = own.sign(MESSAGE)

    for at in private:
        assert expected == await subtle.call("sign", algorithm, key(f"sign/{at}"), MESSAGE)
    for at in public:
        assert await subtle.call("verify", algorithm, key(f"verify/{at}"), expected, MESSAGE)
        assert not await subtle.call("verify", algorithm, key(f"verify/{at}"), expected, b"another message")


def key_agreement(name: str) -> tuple[Any, Any, bytes]:
    """Return two private keys and the secret that they agree on."""
    if name == "X25519":
        ours, theirs = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        return ours, theirs, ours.exchange(theirs.public_key())
    curve = CURVES[name]
    own, other = ec.generate_private_key(curve), ec.generate_private_key(curve)
    return own, other, own.exchange(ec.ECDH(), other.public_key())


@pytest.mark.parametrize("name", ["X25519", *CURVES])
async def test_ecdh_and_x25519_keys_agree(runtime: Runtime, name: str) -> None:
    """Private keys as PKCS #8 and JWK, the other side's public key as SPKI, JWK and raw."""
    own, other, expected = key_agreement(name)
    algorithm = {"name": "X25519"} if name == "X25519" else {"name": "ECDH", "namedCurve": name}
    private, public = dict(private_forms(own)), dict(public_forms(other))
    keys = [binding(f"own/{at}", form, algorithm, "deriveBits", "deriveKey") for at, form in private.items()]
    keys += [binding(f"other/{at}", form, algorithm) for at, form in public.items()]
    subtle = await Subtle(runtime, *keys).start()
    bits = 8 * (len(expected) - 1)  # the secret of P-521 is not a whole number of bytes

    for mine in private:
        for theirs in public:
            arguments = {"name": algorithm["name"], "public": key(f"other/{theirs}")}
            assert expected[: bits // 8] == await subtle.call("deriveBits", arguments, key(f"own/{mine}"), bits)


async def test_pbkdf2_and_hkdf_keys_derive_bits(runtime: Runtime) -> None:
    """PBKDF2 and HKDF keys, which have only the raw format."""
    data, salt = os.urandom(20), os.urandom(16)
    forms = dict(symmetric_forms(data))
    keys = [binding(name, forms["raw"], name, "deriveBits", "deriveKey") for name in ("PBKDF2", "HKDF")]
    subtle = await Subtle(runtime, *keys).start()
    stretched = {"name": "PBKDF2", "hash": "SHA-256", "salt": salt, "iterations": 1000}
    extracted = {"name": "HKDF", "hash": "SHA-256", "salt": salt, "info": MESSAGE}

    assert PBKDF2HMAC(SHA256, 32, salt, 1000).derive(data) == await subtle.call(
        "deriveBits", stretched, key("PBKDF2"), 256
    )
    assert HKDF(SHA256, 32, salt, MESSAGE).derive(data) == await subtle.call(
        "deriveBits", extracted, key("HKDF"), 256
    )


def accepted_bindings() -> Iterator[Fields]:
    """Yield every binding in the vectors that the API accepts."""
    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
            if case["expect"]["ok"]:
                yield case["binding"]


async def test_every_accepted_key_arrives_unextractable(runtime: Runtime) -> None:
    """Every key that the API accepts arrives unextractable, with exactly the usages that were given."""
    taken: list[Fields] = []
    expected = []
    for given in accepted_bindings():
        name = f"K{len(taken)}"
        renamed = binding(name, given, given["algorithm"], *given["usages"]) | {"name": name}
        if runtime.takes(renamed):
            taken.append(renamed)
            expected.append((name, sorted(set(given["usages"])), False))
    assert len(taken) > 140

    found = []
    for start in range(0, len(taken), 100):
        subtle = await Subtle(runtime, *taken[start : start + 100]).start()
        found += [(key["name"], sorted(key["usages"]), key["extractable"]) for key in await subtle.call("show")]

    assert sorted(expected) == sorted(found)
