"""Sending secrets: all of a change in one request, which makes one version, with fingerprints of what it sets."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from nightsafe.cli.remote import Remote
from nightsafe.cli.secret.declared import MOST_OPERATIONS, Declared, Fields
from nightsafe.cli.secret.fingerprint import TAG, FingerprintKey, Place, own_key
from nightsafe.client import Secret

_FILE = click.Path(dir_okay=False, path_type=Path)


def fingerprint_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options about fingerprints, of a command that writes."""
    for option in (_NONE, key_file_option):
        command = option(command)
    return command


key_file_option = click.option(
    "--fingerprint-key-file",
    type=_FILE,
    envvar="NIGHTSAFE_FINGERPRINT_KEY_FILE",
    show_envvar=True,
    help="The key that fingerprints are made with.  [default: one of the user's own]",
)
_NONE = click.option("--no-fingerprint", is_flag=True, help="Leave no fingerprint for `secret diff`.")


def writing_key(fingerprint_key_file: Path | None, *, no_fingerprint: bool) -> FingerprintKey | None:
    """The key to write with, if fingerprints are wanted.

    Raises:
        CommandError: when it cannot be read or made.
    """
    return None if no_fingerprint else own_key(fingerprint_key_file)


def write(remote: Remote, changes: Declared, key: FingerprintKey | None) -> dict[str, Secret]:
    """Put and delete in one request, all or nothing; gives what is known of every secret there is then.

    Args:
        remote: where.
        changes: at most a hundred; None deletes, and passes over what is not there.
        key: of the fingerprints.

    Raises:
        APIError: when it is refused.
    """
    put: Mapping[str, Fields] = {name: fields for name, fields in changes.items() if fields is not None}
    tags: dict[str, Any] = {}
    if key is not None and put:
        tags["version_tags"] = {TAG: key.tag(Place(remote.account_id, remote.script), put)}
    return remote.client.workers.scripts.secrets.bulk_update(
        remote.script,
        account_id=remote.account_id,
        secrets={name: None if fields is None else {"name": name, **fields} for name, fields in changes.items()},  # type: ignore[misc]
        **tags,
    )


def in_requests(changes: Declared) -> list[Declared]:
    """A change in as many parts as it takes requests."""
    names = list(changes)
    return [
        {name: changes[name] for name in names[start : start + MOST_OPERATIONS]}
        for start in range(0, len(names), MOST_OPERATIONS)
    ]
