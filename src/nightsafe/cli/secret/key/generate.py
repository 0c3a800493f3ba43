"""`nightsafe secret key generate`: generates a key and puts it."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from nightsafe.cli.secret.key.material import Key, PrivateKey, key_from_object, public_pem
from nightsafe.cli.secret.key.put import describe_put, prepare_key, put_key, usage_option
from nightsafe.cli.secret.key.usage import ALGORITHMS, CIPHERS, HASHES, Family, use_of
from nightsafe.cli.secret.writing import FingerprintOptions, put_options
from nightsafe.cli.settings.options import FILE
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import secret_argument
from nightsafe.cli.terminal.confirm import confirm
from nightsafe.cli.terminal.credential_output import print_before_storing
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_HMAC_BITS: Final = {"SHA-1": 512, "SHA-256": 512, "SHA-384": 1024, "SHA-512": 1024}
_AES_BITS: Final = (128, 192, 256)
_RSA_BITS: Final = (2048, 3072, 4096)
_EXPONENT: Final = 65537


@click.command("generate")
@secret_argument
@click.option("--algorithm", type=click.Choice(ALGORITHMS), required=True, help="Algorithm of the key.")
@click.option(
    "--length",
    type=click.IntRange(8, 16384),
    metavar="BITS",
    help="Length of the key.  [default: AES 256, HMAC one block of the hash, RSA 3072]",
)
@click.option(
    "--curve", type=click.Choice(list(_CURVES)), default="P-256", show_default=True, help="Curve for ECDSA and ECDH."
)
@click.option(
    "--hash", "digest", type=click.Choice(HASHES), default="SHA-256", show_default=True, help="Hash function."
)
@usage_option("the algorithm's usual usages")
@click.option(
    "--public-out",
    type=FILE,
    help="File for the public half.  [default: print it]",
)
@put_options
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    secret_name: str,
    algorithm: str,
    length: int | None,
    curve: str,
    digest: str,
    usages: tuple[str, ...],
    public_out: Path | None,
    yes: bool,
    fingerprints: FingerprintOptions,
    as_json: bool,
) -> None:
    """Generate a key and put it. The key is not stored elsewhere and not shown; a public half is printed as PEM."""
    fingerprint_key = fingerprints.key()
    key, public = _generate(algorithm, length, curve, digest)
    prepared = prepare_key(remote, secret_name, key, use_of(key.family, algorithm, digest, usages), yes=yes)
    metadata = prepared.metadata | ({"public_key": public} if public else {})
    out = public_out if public else None
    if out is not None and out.exists():
        confirm(f"Replace {out} with the public half of the new key?", yes=yes)
    with (
        print_before_storing("the public half" if public else "the key's metadata") as show,
        _public_half_file(out, public),
    ):
        if as_json or (public and out is None):
            show(json.dumps(metadata, ensure_ascii=False) if as_json else public)
        put_key(remote, prepared, fingerprint_key)
    if not as_json:
        say(describe_put(prepared.metadata))


def _generate(algorithm: str, length: int | None, curve: str, digest: str) -> tuple[Key, str]:
    """Generate a key. Return it with its public half in PEM, or "" if it has no public half."""
    if algorithm in (*CIPHERS, "AES-KW"):
        return _random_key(_check_length(length or 256, _AES_BITS, algorithm)), ""
    if algorithm == "HMAC":
        return _random_key(length or _HMAC_BITS[digest]), ""
    if algorithm in {"HKDF", "PBKDF2"}:
        return _random_key(length or 256), ""
    private_key = _generate_pair(algorithm, length, curve)
    return key_from_object(private_key), public_pem(private_key)


def _generate_pair(algorithm: str, length: int | None, curve: str) -> PrivateKey:
    """Generate a private key."""
    if algorithm.startswith("RSA"):
        return rsa.generate_private_key(_EXPONENT, _check_length(length or 3072, _RSA_BITS, algorithm))
    if length is not None:
        raise CommandError(f"{algorithm} has no --length; use --curve, which sets the length")
    if algorithm in {"ECDSA", "ECDH"}:
        return ec.generate_private_key(_CURVES[curve])
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "Ed25519" else x25519.X25519PrivateKey.generate()


def _random_key(bits: int) -> Key:
    """Generate random bytes."""
    if bits % 8:
        raise CommandError("--length must be a multiple of 8")
    return Key("raw", secrets.token_bytes(bits // 8), Family("oct", private=True))


def _check_length(bits: int, allowed: tuple[int, ...], algorithm: str) -> int:
    """Check that the algorithm permits a length."""
    if bits not in allowed:
        raise CommandError(f"--length of {algorithm} must be one of {', '.join(map(str, allowed))}")
    return bits


@contextmanager
def _public_half_file(path: Path | None, public: str) -> Iterator[None]:
    """Write the public half to a file. The file replaces the old one only if the block puts the key successfully.

    Raises:
        CommandError: if the file cannot be written.
    """
    if path is None:
        yield
        return
    is_replaced = path.is_file() or not path.exists()  # write directly to a device or a pipe
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}") if is_replaced else path
    try:
        _write(temporary, path, public)
        yield
        if is_replaced:
            temporary.replace(path)
    except BaseException:
        if is_replaced:
            temporary.unlink(missing_ok=True)
        raise


def _write(file: Path, named: Path, public: str) -> None:
    """Write to a temporary file. An error names the file that the user asked for."""
    try:
        file.write_text(public)
    except OSError as error:
        raise CommandError(f"{named} cannot be written: {error.strerror}; nothing was put") from None
