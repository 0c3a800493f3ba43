"""Sending secrets: a change in one request, which makes one version, with fingerprints of what it sets.

A change of more than one request takes is sent in parts, each made whole or not at all.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from nightsafe.cli.secret.fingerprints import TAG, FingerprintKey, Place, own_key
from nightsafe.cli.secret.sources.declared import MOST_OPERATIONS, Declared, Fields
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.confirm import is_interactive
from nightsafe.cli.terminal.output import say
from nightsafe.cli.terminal.progress import step_bar
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


def write_in_parts(remote: Remote, changes: Declared, key: FingerprintKey | None) -> None:
    """Put and delete in as many requests as it takes, and tell how far this has come when it is one of several.

    Everything is put before anything is deleted: who is interrupted has too much rather than too little.

    Raises:
        APIError: when one is refused. Those before it are made, and stay.
    """
    parts, done = in_requests(changes), 0
    with step_bar(parts, "Writing") as steps:
        for number, part in enumerate(steps, 1):
            try:
                write(remote, part, key)
            except BaseException:
                if len(parts) > 1:
                    say(
                        f"stopped at write {number} of {len(parts)}: {done} of {len(changes)} changes are made, and "
                        "stay; run this again to go on"
                    )
                raise
            done += len(part)
            if len(parts) > 1 and not is_interactive():
                say(f"write {number} of {len(parts)}: {done} of {len(changes)} changes are made")


def writes_of(changes: Declared) -> str:
    """How a change that one request does not take will be sent; "" for any other."""
    count = len(in_requests(changes))
    if count < 2:  # noqa: PLR2004 - one write is not told of
        return ""
    whole = f"{len(changes)} changes take {count} writes of at most {MOST_OPERATIONS}, each made whole or not at all"
    return f"{whole}: first what is put, last what is deleted" if None in changes.values() else whole


def in_requests(changes: Declared) -> list[Declared]:
    """A change in as many parts as it takes requests; what is deleted comes last."""
    names = sorted(changes, key=lambda name: changes[name] is None)
    return [
        {name: changes[name] for name in names[start : start + MOST_OPERATIONS]}
        for start in range(0, len(names), MOST_OPERATIONS)
    ]
