"""Names of scripts and secrets for the shell's Tab: asked of the server, quickly, and left out where that fails."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

if TYPE_CHECKING:
    from nightsafe.cli.settings.remote import Remote

_SECONDS: Final = 1.0
_NAMES: Final = ("url", "account_id", "script", "token_file", "data", "plain_http")


class _Bash(BashComplete):
    """What bash has on its line; it takes the `=` between a flag and what is said of it for a word of its own."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """See `ShellComplete.get_completion_args`."""
        arguments, incomplete = super().get_completion_args()
        words: list[str] = []
        for word in (*arguments, incomplete):
            begun = words[-1] if words and words[-1].startswith("--") else ""
            if begun and (word == "=" or begun.endswith("=")):
                words[-1] += word
            else:
                words.append(word)
        return words[:-1], words[-1]


def prepare() -> None:
    """Have lines completed as they are meant; for a process that does nothing else."""
    add_completion_class(_Bash)


def complete_scripts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The scripts whose names begin so."""
    from nightsafe.cli.terminal.likely import script_names  # noqa: PLC0415 - needs a client

    return _found(ctx, incomplete, script_names)


def complete_secrets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The secrets of the script whose names begin so, but for those that the command line already has."""
    from nightsafe.cli.terminal.likely import secret_names  # noqa: PLC0415 - needs a client

    given = ctx.params.get(parameter.name or "")
    there = set(given) if isinstance(given, tuple) else set()
    return [one for one in _found(ctx, incomplete, secret_names) if one.value not in there]


def _found(ctx: click.Context, incomplete: str, ask: "Callable[[Remote], Iterable[str]]") -> list[CompletionItem]:
    """What a server tells, once; nothing where there is none, or it does not answer at once."""
    from nightsafe.cli.settings.remote import Remote  # noqa: PLC0415 - it has options that are completed here

    try:
        with Remote(**_settings(ctx)) as remote:
            remote.client = remote.client.with_options(timeout=_SECONDS, max_retries=0)
            return [CompletionItem(name) for name in ask(remote) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - whatever it is, it does not belong into the line that is being typed
        return []


def _settings(ctx: click.Context) -> dict[str, Any]:
    """Where to ask: what flags and variables say, else the file of settings, which nobody has read yet."""
    from nightsafe.cli.settings.settings_file import default_map  # noqa: PLC0415 - needed here alone
    from nightsafe.cli.settings.sources import without_overruled  # noqa: PLC0415 - the same

    given: dict[str, Any] = {name: ctx.params[name] for name in _NAMES if name in ctx.params}
    words = ctx.command_path.split()[1:]
    settings = default_map(ctx.find_root().params.get("config"), quiet=True)
    for word in words:
        settings = settings.get(word, {})
    by_default = (ParameterSource.DEFAULT, None)
    filed = {
        name: settings[name] for name in given if name in settings and ctx.get_parameter_source(name) in by_default
    }
    filed = without_overruled(filed)
    return {**given, **filed, "data": Path(filed.get("data") or given.get("data") or ".nightsafe"), "seal": "never"}
