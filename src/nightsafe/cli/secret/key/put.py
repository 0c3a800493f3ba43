"""Puts a key, generated or imported. Both commands share these functions and the option `--usage`."""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from nightsafe.cli.secret.fingerprints import FingerprintKey
from nightsafe.cli.secret.key.material import Key
from nightsafe.cli.secret.key.usage import USAGES, Use, refuse_unusable
from nightsafe.cli.secret.losses import confirm_put
from nightsafe.cli.secret.sources.declared import Fields
from nightsafe.cli.secret.views import describe_algorithm
from nightsafe.cli.secret.writing import write
from nightsafe.cli.settings.remote import Remote


def usage_option(default: str) -> Callable[[Any], Any]:
    """Return the option for a key's usages, with its default in words."""
    return click.option(
        "--usage",
        "usages",
        type=click.Choice(USAGES),
        multiple=True,
        help=f"Usage that the script may make of the key. Repeatable.  [default: {default}]",
    )


class PreparedKey(NamedTuple):
    """A key that is ready to be put.

    Attributes:
        name: name of the secret.
        fields: the secret in the API's form, with the key.
        metadata: the fields without the key.
    """

    name: str
    fields: Fields
    metadata: dict[str, Any]

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"KeyPut({self.name!r}, hidden)"


def prepare_key(remote: Remote, name: str, key: Key, use: Use, *, yes: bool) -> PreparedKey:
    """Check that the runtime would import a key, and ask before it replaces a secret of another kind.

    Raises:
        CommandError: if the runtime would not import it, or as for `confirm_put`.
        click.Abort, APIError: as for `confirm_put`.
    """
    refuse_unusable(key.format, use, key.content)
    metadata = {"type": "secret_key", "algorithm": use.algorithm, "format": key.format, "usages": use.usages}
    if key.format == "jwk":
        key_fields: dict[str, Any] = {"key_jwk": key.content}
    else:
        key_fields = {"key_base64": base64.b64encode(key.content).decode()}
    fields = {**metadata, **key_fields}
    confirm_put(remote, name, fields, yes=yes)
    return PreparedKey(name, fields, {"script": remote.script, "name": name, **metadata})


def put_key(remote: Remote, prepared: PreparedKey, fingerprint_key: FingerprintKey | None) -> None:
    """Put the key.

    Raises:
        APIError: if the server refuses it.
    """
    write(remote, {prepared.name: prepared.fields}, fingerprint_key)


def describe_put(metadata: dict[str, Any]) -> str:
    """Return a line about the key that was put."""
    usages = ", ".join(metadata["usages"]) or "nothing by itself"
    what = f"{describe_algorithm(metadata['algorithm'])}, {metadata['format']}, for {usages}"
    return f"Put {metadata['name']} of {metadata['script']}: {what}"
