"""`nightsafe secret key`: import from every form and generation, with algorithm and usages inferred."""

import base64
import datetime as dt
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID
from tests.clients.cli.tools.keys_in_store import opened_key
from tests.clients.cli.tools.user_environment import UserEnvironment

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
OPENSSH = serialization.PrivateFormat.OpenSSH
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
OPEN = serialization.NoEncryption()
PASSWORD = serialization.BestAvailableEncryption(b"a password")

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
X25519 = x25519.X25519PrivateKey.generate()

RS256 = {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}
ES384 = {"name": "ECDSA", "namedCurve": "P-384"}


def pkcs8(key: Any) -> bytes:
    """Return the stored form of a private key."""
    made: bytes = key.private_bytes(DER, PKCS8, OPEN)
    return made


def spki(key: Any) -> bytes:
    """Return the stored form of a public key."""
    made: bytes = key.public_key().public_bytes(DER, SPKI)
    return made


def certificate(key: Any, encoding: serialization.Encoding) -> bytes:
    """Return a certificate for a key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(encoding)


def b64(raw: bytes) -> str:
    """Encode bytes as in a JWK: in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("content", "algorithm", "key_format", "usages", "held"),
    [
        (RSA.private_bytes(PEM, PKCS8, OPEN), RS256, "pkcs8", ["sign"], pkcs8(RSA)),
        (RSA.private_bytes(PEM, TRADITIONAL, OPEN), RS256, "pkcs8", ["sign"], pkcs8(RSA)),
        (RSA.private_bytes(DER, TRADITIONAL, OPEN), RS256, "pkcs8", ["sign"], pkcs8(RSA)),
        (RSA.public_key().public_bytes(PEM, SPKI), RS256, "spki", ["verify"], spki(RSA)),
        (certificate(RSA, PEM), RS256, "spki", ["verify"], spki(RSA)),
        (certificate(EC, DER), ES384, "spki", ["verify"], spki(EC)),
        (EC.private_bytes(PEM, PKCS8, OPEN), ES384, "pkcs8", ["sign"], pkcs8(EC)),
        (EC.private_bytes(PEM, TRADITIONAL, OPEN), ES384, "pkcs8", ["sign"], pkcs8(EC)),
        (EC.private_bytes(DER, PKCS8, OPEN), ES384, "pkcs8", ["sign"], pkcs8(EC)),
        (EC.public_key().public_bytes(DER, SPKI), ES384, "spki", ["verify"], spki(EC)),
        (ED.private_bytes(PEM, OPENSSH, OPEN), {"name": "Ed25519"}, "pkcs8", ["sign"], pkcs8(ED)),
        (ED.private_bytes(DER, PKCS8, OPEN), {"name": "Ed25519"}, "pkcs8", ["sign"], pkcs8(ED)),
        (
            X25519.private_bytes(PEM, PKCS8, OPEN),
            {"name": "X25519"},
            "pkcs8",
            ["deriveKey", "deriveBits"],
            pkcs8(X25519),
        ),
        (b"# a comment\n" + ED.private_bytes(PEM, PKCS8, OPEN), {"name": "Ed25519"}, "pkcs8", ["sign"], pkcs8(ED)),
    ],
    ids=[
        "RSA PKCS8 PEM",
        "RSA PKCS1 PEM",
        "RSA PKCS1 DER",
        "RSA SPKI PEM",
        "RSA certificate",
        "EC certificate",
        "EC PKCS8 PEM",
        "EC SEC1 PEM",
        "EC PKCS8 DER",
        "EC SPKI DER",
        "Ed25519 OpenSSH",
        "Ed25519 PKCS8 DER",
        "X25519 PKCS8 PEM",
        "after a comment",
    ],
)
def test_import_recognises_key_formats(  # noqa: PLR0913, PLR0917 - the columns of the table
    user: UserEnvironment, content: bytes, algorithm: dict[str, str], key_format: str, usages: list[str], held: bytes
) -> None:
    """PEM, DER, certificates and OpenSSH's form are recognised, and the key is stored as the runtime imports it."""
    code, shown = user.at_terminal("secret", "key", "import", "KEY", user.write("key", content))

    assert (0, True) == (code, f"Put KEY of {user.script}: " in shown), shown
    found, opened = opened_key(user.server.safe, user.script, "KEY")
    assert held == opened
    assert (algorithm, key_format, usages) == (found["algorithm"], found["format"], found["usages"])


@pytest.mark.parametrize(
    ("jwk", "algorithm", "usages"),
    [
        (
            {"kty": "oct", "k": b64(bytes(32)), "alg": "HS384"},
            {"name": "HMAC", "hash": "SHA-384"},
            ["sign", "verify"],
        ),
        ({"kty": "oct", "k": b64(bytes(32)), "alg": "A256GCM"}, {"name": "AES-GCM"}, ["encrypt", "decrypt"]),
        ({"kty": "oct", "k": b64(bytes(16)), "alg": "A128KW"}, {"name": "AES-KW"}, ["wrapKey", "unwrapKey"]),
        (
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "d": b64(ED.private_bytes_raw()),
                "x": b64(ED.public_key().public_bytes_raw()),
            },
            {"name": "Ed25519"},
            ["sign"],
        ),
        (
            {"kty": "OKP", "crv": "Ed25519", "x": b64(ED.public_key().public_bytes_raw()), "key_ops": ["verify"]},
            {"name": "Ed25519"},
            ["verify"],
        ),
    ],
)
def test_import_accepts_a_jwk(
    user: UserEnvironment, jwk: dict[str, Any], algorithm: dict[str, str], usages: list[str]
) -> None:
    """A JWK names its own algorithm and usages; a set with one JWK is accepted too."""
    for content in (jwk, {"keys": [jwk]}):
        shown = user.json("secret", "key", "import", "KEY", "-", stdin=json.dumps(content).encode())

        assert (algorithm, "jwk", usages) == (shown["algorithm"], shown["format"], shown["usages"])
        assert jwk == json.loads(opened_key(user.server.safe, user.script, "KEY")[1])


@pytest.mark.parametrize(
    ("content", "options", "held"),
    [
        (bytes(range(32)), ("--algorithm", "AES-GCM"), bytes(range(32))),
        (b"30" * 16, ("--algorithm", "AES-CBC", "--encoding", "hex", "--format", "raw"), b"0" * 16),
        (b"MDAwMDAwMDAwMDAw\nMDAwMA\n", ("--algorithm", "AES-KW", "--encoding", "base64"), b"0" * 16),
        (b"anything", ("--algorithm", "HMAC", "--hash", "SHA-512"), b"anything"),
        (b"password", ("--algorithm", "PBKDF2", "--usage", "deriveBits"), b"password"),
    ],
)
def test_import_accepts_raw_bytes(
    user: UserEnvironment, content: bytes, options: tuple[str, ...], held: bytes
) -> None:
    """Raw bytes need `--algorithm` and may be binary, hex or base64."""
    shown = user.json("secret", "key", "import", "KEY", "-", *options, stdin=content)

    assert ("raw", options[1]) == (shown["format"], shown["algorithm"]["name"])
    assert held == opened_key(user.server.safe, user.script, "KEY")[1]


def test_explicit_options_override_inference(user: UserEnvironment) -> None:
    """Options override the inferred algorithm and usages."""
    file = user.write("key", RSA.private_bytes(PEM, PKCS8, OPEN))

    shown = user.json(
        "secret", "key", "import", "KEY", file, "--algorithm", "RSA-OAEP", "--hash", "SHA-512", "--usage", "unwrapKey"
    )

    assert {"name": "RSA-OAEP", "hash": "SHA-512"} == shown["algorithm"]
    assert ["unwrapKey"] == shown["usages"]


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
def test_an_encrypted_key_asks_for_its_password(user: UserEnvironment, form: serialization.PrivateFormat) -> None:
    """The password is typed unseen in a terminal or read from a file; a wrong one is refused."""
    file = user.write("key", EC.private_bytes(PEM, form, PASSWORD))
    ask = ("secret", "key", "import", "KEY", file)

    wrong, _ = user.at_terminal(*ask, replies=[("Password of the key:", "not it")])
    code, shown = user.at_terminal(*ask, replies=[("Password of the key:", "a password")])

    assert (1, 0) == (wrong, code)
    assert "a password" not in shown
    assert pkcs8(EC) == opened_key(user.server.safe, user.script, "KEY")[1]
    assert "give --password-file" in user.refusal(*ask, code=1)
    user.write("password", "a password\n")
    assert "KEY" == user.json(*ask, "--password-file", "password")["name"]


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"neither key nor anything", (), "this is not a key in PEM, DER or JWK"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            (),
            "this is not a key in PEM, DER or JWK",
        ),
        (b'{"kty": "EC"', (), "this is not a JWK: it is not JSON"),
        (b'{"keys": []}', (), "the set holds 0 keys; give one JWK"),
        (b'{"kty": "what"}', (), "the JWK has an unknown type"),
        (b'{"kty": "oct", "k": "AAAA"}', (), "give --algorithm"),
        (ed448.Ed448PrivateKey.generate().private_bytes(PEM, PKCS8, OPEN), (), "has no algorithm for such a key"),
        (dsa.generate_private_key(1024).private_bytes(PEM, PKCS8, OPEN), (), "has no algorithm for such a key"),  # noqa: S505 - a small one is made faster
        (
            ec.generate_private_key(ec.SECP256K1()).private_bytes(PEM, PKCS8, OPEN),
            (),
            "does not support the curve secp256k1",
        ),
        (b"x" * 31, ("--algorithm", "AES-GCM"), "the Workers runtime would not import this key: DataError"),
        (b"zz", ("--algorithm", "HMAC", "--encoding", "hex"), "this is not hex"),
        (ED.private_bytes(PEM, PKCS8, OPEN), ("--usage", "encrypt"), "would not import this key: SyntaxError"),
        (b"x", ("--format", "raw"), "the algorithm cannot be inferred from raw bytes; give --algorithm"),
    ],
)
def test_import_refuses_unusable_keys(
    user: UserEnvironment, content: bytes, options: tuple[str, ...], words: str
) -> None:
    """Input that the runtime could not use is refused before anything is sent, and is not repeated."""
    said = user.refusal("secret", "key", "import", "KEY", "-", *options, code=1, stdin=content)

    assert words in said
    assert [] == user.json("secret", "list")["secrets"]


@pytest.mark.parametrize(
    ("options", "algorithm", "key_format", "size"),
    [
        (("AES-GCM",), {"name": "AES-GCM"}, "raw", 32),
        (("AES-CTR", "--length", "128"), {"name": "AES-CTR"}, "raw", 16),
        (("HMAC",), {"name": "HMAC", "hash": "SHA-256"}, "raw", 64),
        (("HMAC", "--hash", "SHA-512", "--length", "256"), {"name": "HMAC", "hash": "SHA-512"}, "raw", 32),
        (("HKDF",), {"name": "HKDF"}, "raw", 32),
        (("ECDSA", "--curve", "P-521"), {"name": "ECDSA", "namedCurve": "P-521"}, "pkcs8", None),
        (("ECDH",), {"name": "ECDH", "namedCurve": "P-256"}, "pkcs8", None),
        (("Ed25519",), {"name": "Ed25519"}, "pkcs8", None),
        (("X25519",), {"name": "X25519"}, "pkcs8", None),
        (("RSA-PSS", "--length", "2048"), {"name": "RSA-PSS", "hash": "SHA-256"}, "pkcs8", None),
        (("RSA-OAEP", "--length", "2048"), {"name": "RSA-OAEP", "hash": "SHA-256"}, "pkcs8", None),
    ],
)
def test_generate_puts_a_key_and_prints_its_public_half(
    user: UserEnvironment, options: tuple[str, ...], algorithm: dict[str, str], key_format: str, size: int | None
) -> None:
    """`generate` puts a key of the given algorithm and prints the public half of a pair."""
    code, shown = user.at_terminal("secret", "key", "generate", "KEY", "--algorithm", *options)

    assert 0 == code, shown
    found, held = opened_key(user.server.safe, user.script, "KEY")
    assert (algorithm, key_format) == (found["algorithm"], found["format"])
    if size is not None:
        assert size == len(held)
        return
    public = serialization.load_der_private_key(held, None).public_key().public_bytes(PEM, SPKI)
    assert public.decode() in shown


def test_generate_writes_the_public_half_to_a_file(user: UserEnvironment) -> None:
    """`--public-out` names a file for the public half; two runs make two keys."""
    made = [
        user.json("secret", "key", "generate", "KEY", "--algorithm", "Ed25519", "--public-out", f"public{number}")
        for number in range(2)
    ]

    assert [key["public_key"] for key in made] == [(user.cwd / f"public{n}").read_text() for n in range(2)]
    assert made[0]["public_key"] != made[1]["public_key"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("AES-GCM", "--length", "100"), "--length of AES-GCM must be one of 128, 192, 256"),
        (("RSA-PSS", "--length", "1024"), "--length of RSA-PSS must be one of 2048, 3072, 4096"),
        (("HMAC", "--length", "12"), "a multiple of 8"),
        (("Ed25519", "--length", "256"), "Ed25519 has no --length"),
    ],
)
def test_generate_refuses_unsupported_lengths(user: UserEnvironment, options: tuple[str, ...], words: str) -> None:
    """A length that the algorithm does not support is refused."""
    assert words in user.refusal("secret", "key", "generate", "KEY", "--algorithm", *options, code=1)
