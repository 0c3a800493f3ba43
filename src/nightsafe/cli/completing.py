"""Shell completion of script and secret names. They come from the server; if that fails, there are no suggestions."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

if TYPE_CHECKING:
    from nightsafe.cli.settings.remote import Remote

_SECONDS: Final = 1.0
_SERVER_OPTIONS: Final = ("url", "account_id", "script", "token_file", "data", "plain_http")


class _Bash(BashComplete):
    """Completion for bash, which treats the `=` between a flag and its argument as a separate word."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """See `ShellComplete.get_completion_args`."""
        arguments, incomplete = super().get_completion_args()
        words: list[str] = []
        for word in (*arguments, incomplete):
            option = words[-1] if words and words[-1].startswith("--") else ""
            if option and (word == "=" or option.endswith("=")):
                words[-1] += word
            else:
                words.append(word)
        return words[:-1], words[-1]


def prepare() -> None:
    """Register our completion for bash. Only a process that does nothing but complete calls this."""
    add_completion_class(_Bash)


def complete_scripts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the scripts whose names begin with the incomplete word."""
    from nightsafe.cli.terminal.suggestions import script_names  # needs a client

    return _matching_names(ctx, incomplete, script_names)


def complete_secrets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the script's secrets that begin with the incomplete word and are not on the command line yet."""
    from nightsafe.cli.terminal.suggestions import secret_names  # needs a client

    value = ctx.params.get(parameter.name or "")
    already_given = set(value) if isinstance(value, tuple) else set()
    return [item for item in _matching_names(ctx, incomplete, secret_names) if item.value not in already_given]


def _matching_names(
    ctx: click.Context, incomplete: str, fetch_names: "Callable[[Remote], Iterable[str]]"
) -> list[CompletionItem]:
    """Ask the server once for names. Return an empty list if there is no server or it does not answer quickly."""
    from nightsafe.cli.settings.remote import Remote  # its module imports this one

    try:
        with Remote(**_server_settings(ctx)) as remote:
            remote.client = remote.client.with_options(timeout=_SECONDS, max_retries=0)
            return [CompletionItem(name) for name in fetch_names(remote) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - no error may be printed into the line that is being typed
        return []


def _server_settings(ctx: click.Context) -> dict[str, Any]:
    """Return the settings that lead to the server: from flags, else variables, else the settings file.

    click does not read the settings file for a completion, so this does.
    """
    from nightsafe.cli.settings.settings_file import default_map
    from nightsafe.cli.settings.sources import drop_overridden

    values: dict[str, Any] = {name: ctx.params[name] for name in _SERVER_OPTIONS if name in ctx.params}
    words = ctx.command_path.split()[1:]
    settings = default_map(ctx.find_root().params.get("config"), quiet=True)
    for word in words:
        settings = settings.get(word, {})
    by_default = (ParameterSource.DEFAULT, None)
    file_settings = {
        name: settings[name] for name in values if name in settings and ctx.get_parameter_source(name) in by_default
    }
    file_settings = drop_overridden(file_settings)
    return {
        **values,
        **file_settings,
        "data": Path(file_settings.get("data") or values.get("data") or ".nightsafe"),
        "seal": "never",
    }
