"""Suggests names that are similar to the name of a command, script or secret that does not exist."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nightsafe.cli.settings.remote import Remote
    from nightsafe.client import NotFoundError

_NO_SCRIPT: Final = frozenset({10007, 10090})
_NO_SECRET: Final = 10056


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a suggestion such as `did you mean 'worker'?`, or "" if no name is similar."""
    close = get_close_matches(name, [candidate for candidate in names if candidate != name])
    if not close:
        return ""
    *others, last = map(repr, close)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def add_suggestion(
    error: "NotFoundError", remote: "Remote", arguments: Mapping[str, Any], *, has_option: bool
) -> None:
    """Add a note with similar names to an error. If the names cannot be fetched, add nothing.

    Args:
        error: the command's error.
        remote: the script that the command talked about.
        arguments: the command's other arguments.
        has_option: whether `--script` names the command's script; otherwise an argument does.
    """
    from nightsafe.client import ClientError  # only if the client is loaded

    codes = {item.code for item in error.errors}
    with suppress(ClientError):
        suggestion = ""
        if codes & _NO_SCRIPT:
            suggestion = did_you_mean(arguments.get("script_name") or remote.script, script_names(remote))
        elif _NO_SECRET in codes:
            secret = arguments.get("secret_name") or next(iter(arguments.get("secret_names") or ()), "")
            suggestion = did_you_mean(secret, secret_names(remote))
        if suggestion:
            error.add_note(suggestion)
    if codes & _NO_SCRIPT and has_option:
        error.add_note("--script names another script")


def script_names(remote: "Remote") -> Iterable[str]:
    """Return the names of the account's scripts."""
    return [item.id for item in remote.client.workers.scripts.list(account_id=remote.account_id)]


def secret_names(remote: "Remote") -> Iterable[str]:
    """Return the names of the script's secrets."""
    return [item.name for item in remote.client.workers.scripts.secrets.list(**remote.script_arguments)]
