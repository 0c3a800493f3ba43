"""A second HPKE, written from RFC 9180 on plain primitives, to compare the library with.

Base mode, HKDF-SHA256, the X25519 KEM and X-Wing (draft-connolly-cfrg-xwing-kem). For tests only.
"""

import hashlib
import hmac
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

X25519_KEM = 0x0020
XWING_KEM = 0x647A
HKDF_SHA256 = 0x0001
AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305 = 1, 2, 3


class Aead(Protocol):
    """The methods that both AEAD classes have."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the plaintext, or raise InvalidTag."""
        ...


def _extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
    """RFC 9180, section 4: LabeledExtract."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _expand(prk: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """RFC 9180, section 4: LabeledExpand; at most 32 bytes, so one round of HKDF-Expand."""
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:size]


def _dhkem(shared: bytes, enc: bytes, public: bytes) -> bytes:
    """RFC 9180, section 4.1: ExtractAndExpand for DHKEM(X25519, HKDF-SHA256)."""
    suite = b"KEM" + X25519_KEM.to_bytes(2, "big")
    return _expand(_extract(b"", suite, b"eae_prk", shared), suite, b"shared_secret", enc + public, 32)


def _dh(private: bytes, public: bytes) -> bytes:
    """Return the X25519 shared secret."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def _x25519_public(private: bytes) -> bytes:
    """Return the public half of an X25519 key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _xwing_expand(seed: bytes) -> tuple[MLKEM768PrivateKey, bytes]:
    """Return X-Wing's two private keys, derived from its seed."""
    stream = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(stream[:64]), stream[64:]


def _xwing_combine(lattice: bytes, curve: bytes, enc: bytes, public: bytes) -> bytes:
    """Return X-Wing's combined shared secret."""
    return hashlib.sha3_256(lattice + curve + enc + public + b"\\.//^\\").digest()


def public_of(kem: int, private: bytes) -> bytes:
    """Return the public key of a private key."""
    if kem == X25519_KEM:
        return _x25519_public(private)
    lattice, curve = _xwing_expand(private)
    return lattice.public_key().public_bytes_raw() + _x25519_public(curve)


def encapsulate(kem: int, public: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    """Return a shared secret and its `enc`, for this ephemeral X25519 key. X-Wing's ML-KEM half stays random."""
    curve_enc = _x25519_public(ephemeral)
    if kem == X25519_KEM:
        return _dhkem(_dh(ephemeral, public), curve_enc, public), curve_enc
    lattice, lattice_enc = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    curve_public = public[1184:]
    shared = _xwing_combine(lattice, _dh(ephemeral, curve_public), curve_enc, curve_public)
    return shared, lattice_enc + curve_enc


def decapsulate(kem: int, private: bytes, enc: bytes) -> bytes:
    """Return the shared secret that `enc` encapsulates."""
    if kem == X25519_KEM:
        return _dhkem(_dh(private, enc), enc, _x25519_public(private))
    lattice, curve = _xwing_expand(private)
    return _xwing_combine(lattice.decapsulate(enc[:1088]), _dh(curve, enc[1088:]), enc[1088:], _x25519_public(curve))


def key_schedule(kem: int, aead: int, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """RFC 9180, section 5.1, base mode: the key and the base nonce."""
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (kem, HKDF_SHA256, aead))
    context = b"\x00" + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    secret = _extract(shared, suite, b"secret", b"")
    size = 16 if aead == AES_128_GCM else 32
    return _expand(secret, suite, b"key", context, size), _expand(secret, suite, b"base_nonce", context, 12)


def cipher(aead: int, key: bytes) -> Aead:
    """Return the AEAD with its key."""
    return ChaCha20Poly1305(key) if aead == CHACHA20_POLY1305 else AESGCM(key)


def nonce_at(base: bytes, sequence: int) -> bytes:
    """RFC 9180, section 5.2: ComputeNonce."""
    return (int.from_bytes(base, "big") ^ sequence).to_bytes(12, "big")


def seal(kem: int, public: bytes, info: bytes, plaintext: bytes, ephemeral: bytes) -> bytes:
    """Return one message, sealed with AES-256-GCM and no `aad`: `enc`, ciphertext, tag."""
    shared, enc = encapsulate(kem, public, ephemeral)
    key, nonce = key_schedule(kem, AES_256_GCM, shared, info)
    return enc + cipher(AES_256_GCM, key).encrypt(nonce, plaintext, b"")


def open_(kem: int, private: bytes, info: bytes, message: bytes) -> bytes:
    """Return the plaintext of a message that `seal` made."""
    size = 32 if kem == X25519_KEM else 1120
    shared = decapsulate(kem, private, message[:size])
    key, nonce = key_schedule(kem, AES_256_GCM, shared, info)
    return cipher(AES_256_GCM, key).decrypt(nonce, message[size:], b"")
