"""`nightsafe secret key import`: puts a key from a file."""

import sys
from functools import partial
from pathlib import Path

import click

from nightsafe.cli.secret.key.material import ENCODINGS, FORMATS, read_key
from nightsafe.cli.secret.key.put import describe_put, prepare_key, put_key, usage_option
from nightsafe.cli.secret.key.usage import ALGORITHMS, HASHES, SYMMETRIC, use_of
from nightsafe.cli.secret.sources.prompt import read_bytes
from nightsafe.cli.secret.writing import FingerprintOptions, put_options
from nightsafe.cli.settings.options import FILE
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import secret_argument
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json


@click.command("import")
@secret_argument
@click.argument("file", type=click.Path(allow_dash=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="Format of the file.",
)
@click.option(
    "--encoding", type=click.Choice(ENCODINGS), default="binary", show_default=True, help="Encoding of raw bytes."
)
@click.option(
    "--algorithm", type=click.Choice(ALGORITHMS), help="Algorithm of the key.  [default: inferred from the key]"
)
@click.option(
    "--hash", "digest", type=click.Choice(HASHES), help="Hash function.  [default: inferred from the key, or SHA-256]"
)
@usage_option("inferred from the key")
@click.option("--password-file", type=FILE, help="File with the password of an encrypted key.  [default: ask]")
@put_options
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    secret_name: str,
    file: Path,
    file_format: str,
    encoding: str,
    algorithm: str | None,
    digest: str | None,
    usages: tuple[str, ...],
    password_file: Path | None,
    yes: bool,
    fingerprints: FingerprintOptions,
    as_json: bool,
) -> None:
    """Put a key from PEM (a key, a certificate or an OpenSSH key), DER, JWK or raw bytes. `-` is standard input.

    The command infers the algorithm: RSASSA-PKCS1-v1_5 for an RSA key, ECDSA for an EC key; a JWK names its own. For
    raw bytes give --algorithm. A key that the Workers runtime would not import is refused.
    """
    fingerprint_key = fingerprints.key()
    content = read_bytes(None if str(file) == "-" else file)
    ask = partial(_password, password_file)
    key = read_key(content, file_format, encoding, ask, symmetric=algorithm in SYMMETRIC)
    prepared = prepare_key(remote, secret_name, key, use_of(key.family, algorithm, digest, usages), yes=yes)
    put_key(remote, prepared, fingerprint_key)
    if as_json:
        show_json(prepared.metadata)
    else:
        say(describe_put(prepared.metadata))


def _password(password_file: Path | None) -> str:
    """Read the password of an encrypted key from its file or from a hidden prompt."""
    if password_file is not None:
        try:
            return read_bytes(password_file).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandError(f"{password_file} is not UTF-8") from None
    if not sys.stdin.isatty():
        raise CommandError("the key is encrypted; give --password-file")
    typed: str = click.prompt("Password of the key", hide_input=True, err=True)
    return typed
