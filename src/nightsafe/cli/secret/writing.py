"""Sends changes of secrets. One request creates one version, with fingerprints of the secrets that it sets.

A change that is too large for one request is sent in parts. Each part takes effect entirely or not at all.
"""

from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from nightsafe.cli.secret.fingerprints import TAG, FingerprintKey, FingerprintScope, load_or_create_key
from nightsafe.cli.secret.sources.declared import MAX_OPERATIONS, Declared, Fields
from nightsafe.cli.settings.options import FILE, json_option, option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import Command, write_options
from nightsafe.cli.terminal.confirm import is_interactive, yes_option
from nightsafe.cli.terminal.output import say
from nightsafe.cli.terminal.progress import step_bar
from nightsafe.client import Secret

key_file_option = option(
    "--fingerprint-key-file", "File of the fingerprint key.  [default: the user's own]", type=FILE
)
_no_fingerprint_option = click.option(
    "--no-fingerprint", is_flag=True, help="Store no fingerprint for `secret diff`."
)


class FingerprintOptions(NamedTuple):
    """The options about fingerprints of a command that puts secrets.

    Attributes:
        key_file: file of the fingerprint key, or None for the user's own.
        disabled: whether no fingerprints are wanted.
    """

    key_file: Path | None
    disabled: bool

    def key(self) -> FingerprintKey | None:
        """Return the fingerprint key, or None if no fingerprints are wanted.

        Raises:
            CommandError: if the key cannot be read or created.
        """
        return None if self.disabled else load_or_create_key(self.key_file)


def put_options(command: Command) -> Command:
    """Add the options that every command that puts secrets has.

    The command gets four arguments for them: `remote`, `yes`, `fingerprints` and `as_json`.
    """

    @wraps(command)
    def run(*, fingerprint_key_file: Path | None, no_fingerprint: bool, **arguments: Any) -> None:
        command(fingerprints=FingerprintOptions(fingerprint_key_file, no_fingerprint), **arguments)

    decorated: Command = run
    for add in (json_option, write_options, _no_fingerprint_option, key_file_option, yes_option):
        decorated = add(decorated)
    return decorated


def write(remote: Remote, changes: Declared, key: FingerprintKey | None) -> dict[str, Secret]:
    """Put and delete secrets in one request, all or nothing.

    Args:
        remote: the script.
        changes: at most 100 changes; None deletes a secret, and is ignored if the secret does not exist.
        key: the fingerprint key, or None.

    Returns:
        The metadata of every secret of the script after the change.

    Raises:
        APIError: if the server refuses the request.
    """
    put: Mapping[str, Fields] = {name: fields for name, fields in changes.items() if fields is not None}
    tags: dict[str, Any] = {}
    if key is not None and put:
        tags["version_tags"] = {TAG: key.tag(FingerprintScope(remote.account_id, remote.script), put)}
    return remote.client.workers.scripts.secrets.bulk_update(
        remote.script,
        account_id=remote.account_id,
        secrets={name: None if fields is None else {"name": name, **fields} for name, fields in changes.items()},  # type: ignore[misc]
        **tags,
    )


def write_in_parts(remote: Remote, changes: Declared, key: FingerprintKey | None) -> None:
    """Put and delete secrets in as many requests as needed. With several requests, show the progress.

    All puts come before all deletions, so that an interruption leaves too many secrets rather than too few.

    Raises:
        APIError: if the server refuses a request. The earlier requests stay in effect.
    """
    parts, made = split_into_requests(changes), 0
    with step_bar(parts, "Writing") as steps:
        for number, part in enumerate(steps, 1):
            try:
                write(remote, part, key)
            except BaseException:
                if len(parts) > 1:
                    say(
                        f"stopped at write {number} of {len(parts)}: {made} of {len(changes)} changes are made and "
                        "stay; run this again to continue"
                    )
                raise
            made += len(part)
            if len(parts) > 1 and not is_interactive():
                say(f"write {number} of {len(parts)}: {made} of {len(changes)} changes are made")


def describe_writes(changes: Declared) -> str:
    """Return a message about a change that needs several requests; "" if one is enough."""
    count = len(split_into_requests(changes))
    if count < 2:  # noqa: PLR2004 - one write needs no message
        return ""
    summary = f"{len(changes)} changes take {count} writes of at most {MAX_OPERATIONS} changes, each all or nothing"
    return f"{summary}: first all puts, then all deletions" if None in changes.values() else summary


def split_into_requests(changes: Declared) -> list[Declared]:
    """Split a change into parts for one request each. Deletions come last."""
    names = sorted(changes, key=lambda name: changes[name] is None)
    return [
        {name: changes[name] for name in names[start : start + MAX_OPERATIONS]}
        for start in range(0, len(names), MAX_OPERATIONS)
    ]
