"""Suggests names for a script or secret that does not exist."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nightsafe.cli.terminal.suggestion import did_you_mean
from nightsafe.client import ClientError, NotFoundError

if TYPE_CHECKING:
    from nightsafe.cli.settings.remote import Remote

_NO_SCRIPT: Final = frozenset({10007, 10090})
_NO_SECRET: Final = 10056


def add_suggestion(error: NotFoundError, remote: "Remote", arguments: Mapping[str, Any]) -> None:
    """Add a note with similar names to an error. If the names cannot be fetched, add nothing.

    Args:
        error: the command's error.
        remote: the script that the command talked about.
        arguments: the command's other arguments.
    """
    codes = {item.code for item in error.errors}
    with suppress(ClientError):
        suggestion = ""
        if codes & _NO_SCRIPT:
            suggestion = did_you_mean(arguments.get("script_name") or remote.script, script_names(remote))
        elif _NO_SECRET in codes:
            named = arguments.get("secret_name") or next(iter(arguments.get("secret_names") or ()), "")
            suggestion = did_you_mean(named, secret_names(remote))
        if suggestion:
            error.add_note(suggestion)


def script_names(remote: "Remote") -> Iterable[str]:
    """Return the names of the account's scripts."""
    return [item.id for item in remote.client.workers.scripts.list(account_id=remote.account_id)]


def secret_names(remote: "Remote") -> Iterable[str]:
    """Return the names of the script's secrets."""
    return [item.name for item in remote.client.workers.scripts.secrets.list(**remote.script_arguments)]
