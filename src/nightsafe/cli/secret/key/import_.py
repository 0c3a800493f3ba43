"""`nightsafe secret key import`."""

import sys
from functools import partial
from pathlib import Path

import click

from nightsafe.cli.secret.key.material import ENCODINGS, FORMATS, read_key
from nightsafe.cli.secret.key.put import put_key, ready_key, words
from nightsafe.cli.secret.key.usage import ALGORITHMS, HASHES, SYMMETRIC, use_of
from nightsafe.cli.secret.sources.prompt import read_bytes
from nightsafe.cli.secret.writing import fingerprint_options, writing_key
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import secret_argument, write_options
from nightsafe.cli.terminal.confirm import yes_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say, show_json

_FILE = click.Path(dir_okay=False, path_type=Path)
USAGES = ("encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey")


@click.command("import")
@secret_argument
@click.argument("file", type=click.Path(allow_dash=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True, help="Of the file.")
@click.option("--encoding", type=click.Choice(ENCODINGS), default="binary", show_default=True, help="Of raw bytes.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="What it is for.  [default: worked out]")
@click.option("--hash", "digest", type=click.Choice(HASHES), help="The digest.  [default: worked out, or SHA-256]")
@click.option(
    "--usage",
    "usages",
    type=click.Choice(USAGES),
    multiple=True,
    help="What the script may do.  [default: worked out]",
)
@click.option("--password-file", type=_FILE, help="Holds the password of an encrypted key.  [default: ask]")
@yes_option
@fingerprint_options
@write_options
@json_option
def command(  # noqa: PLR0913 - a key has many sides
    *,
    remote: Remote,
    secret_name: str,
    file: Path,
    form: str,
    encoding: str,
    algorithm: str | None,
    digest: str | None,
    usages: tuple[str, ...],
    password_file: Path | None,
    yes: bool,
    fingerprint_key_file: Path | None,
    no_fingerprint: bool,
    as_json: bool,
) -> None:
    """Put a key from PEM (also a certificate's, or OpenSSH's), DER, JWK or raw bytes. `-` is standard input.

    What it is for is worked out: an RSA key signs with RSASSA-PKCS1-v1_5, an EC key with ECDSA, a JWK says so itself;
    of raw bytes give --algorithm. It is refused when the Workers runtime would not import it.
    """
    fingerprint_key = writing_key(fingerprint_key_file, no_fingerprint=no_fingerprint)
    content = read_bytes(None if str(file) == "-" else file)
    ask = partial(_password, password_file)
    key = read_key(content, form, encoding, ask, symmetric=algorithm in SYMMETRIC)
    ready = ready_key(remote, secret_name, key, use_of(key.family, algorithm, digest, usages), yes=yes)
    put_key(remote, ready, fingerprint_key)
    if as_json:
        show_json(ready.shown)
    else:
        say(words(ready.shown))


def _password(password_file: Path | None) -> str:
    """The password of an encrypted key, from its file or typed unseen."""
    if password_file is not None:
        try:
            return read_bytes(password_file).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandError(f"{password_file} is not UTF-8") from None
    if not sys.stdin.isatty():
        raise CommandError("the key is encrypted; give --password-file")
    typed: str = click.prompt("Password of the key", hide_input=True, err=True)
    return typed
