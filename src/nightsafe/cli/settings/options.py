"""Options that several commands share."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nightsafe.cli.settings.store_option import store_option
from nightsafe.cli.terminal.output import JSON_WANTED

_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


def _check_account_id(_: click.Context, __: click.Parameter, value: str | None) -> str:
    """Return the given account ID, or a random one."""
    if value is None:
        return uuid.uuid4().hex
    if not is_account_id(value):
        raise click.BadParameter("give 32 lower-case hex digits")
    return value


def _check_email(_: click.Context, __: click.Parameter, value: str) -> str:
    """Check the form of an e-mail address."""
    if not _EMAIL.fullmatch(value) or not is_text(value):
        raise click.BadParameter("give an e-mail address")
    return value


def email_option(default: str | None, help_text: str) -> Callable[[Any], Any]:
    """Return the option for an e-mail address. Without a default, it is required."""
    attributes = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option("--email", callback=_check_email, help=help_text, **attributes)


account_id_option = click.option(
    "--account-id", metavar="HEX32", callback=_check_account_id, help="The account's ID.  [default: random]"
)
_CENTURY_SECONDS = 100 * 366 * 24 * 60 * 60


def is_account_id(value: str) -> bool:
    """Return whether a text has the form of an account ID."""
    return _ACCOUNT_ID.fullmatch(value) is not None


def is_text(value: str) -> bool:
    """Return whether an argument was UTF-8. Python decodes any other byte to a lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse an argument that was not UTF-8."""
    if not is_text(value):
        raise click.BadParameter("give UTF-8 text")
    return value


def _record_json(_: click.Context, __: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - the signature of click's callbacks
    """Note that refusals must be JSON too. This covers `as_json` in the settings file."""
    if value:
        JSON_WANTED.set(True)
    return value


class _DirectoryType(click.Path):
    """The path of a directory. An empty path, as from an empty variable, does not mean the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if value == "":
            self.fail("the path is empty; give a directory", param, ctx)
        return super().convert(value, param, ctx)


def option(flag: str, help_text: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return an option with its environment variable.

    Args:
        flag: the flag. `--tls-cert` has the variable `NIGHTSAFE_TLS_CERT`.
        help_text: the help.
        attributes: further arguments for `click.option`. The default is False for a flag, else None.
    """
    attributes.setdefault("default", False if attributes.get("is_flag") else None)
    show_default = attributes["default"] is not None and attributes["default"] is not False
    variable = f"NIGHTSAFE_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(
        flag, envvar=variable, show_envvar=True, show_default=show_default, help=help_text, **attributes
    )


FILE = click.Path(dir_okay=False, path_type=Path)
seconds_type = click.IntRange(1, _CENTURY_SECONDS)
log_format_option = option(
    "--log-format", "Format of the log on stderr.", type=click.Choice(["json", "text"]), default="json"
)
local_data_option = option(
    "--data",
    "The data directory.",
    type=_DirectoryType(file_okay=False, path_type=Path),
    default=Path(".nightsafe"),
)


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a safe: its data directory, and its database if that is not there."""
    with_options: Callable[..., Any] = local_data_option(store_option(command))
    return with_options


json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_record_json, help="Print one JSON object."
)


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command by name."""
    return {one.name: one for one in command.params if isinstance(one, click.Option) and one.name}
