"""The option `--store`: the address of a database outside the data directory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from nightsafe.cli.settings.own_file import read_own_file
from nightsafe.confinement.process import forget_variable
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

FLAG: Final = "--store"
_VARIABLE: Final = "NIGHTSAFE_STORE"
_MAX_BYTES: Final = 1 << 16
_SHOWN: Final = frozenset({ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP})
"""The sources that others may read: `ps` shows the command line, and a settings file may be open to all."""

_STORE: "ContextVar[str | None]" = ContextVar("store", default=None)


def given_store() -> str | None:
    """Return the value of the command's `--store` or `NIGHTSAFE_STORE`, or None."""
    return _STORE.get()


@contextmanager
def store_for_children(context: click.Context) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Give the arguments with which child processes use the same store, and the descriptors that they inherit.

    A URL from the variable may have a password. It is in a file in memory, whose descriptor only these processes get.
    """
    from nightsafe.store.postgres.engine.address import is_url

    value = given_store()
    if value is None:
        yield [], ()
    elif context.get_parameter_source("store") in _SHOWN or not is_url(value):
        yield [FLAG, value], ()
    else:
        with os.fdopen(os.memfd_create("nightsafe-store"), "wb", buffering=0) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(value.encode())
            yield [FLAG, f"/proc/self/fd/{file.fileno()}"], (file.fileno(),)


def address_of(value: str) -> "Address":
    """Return the address of a URL, or of a file with a URL.

    Raises:
        NightsafeError: INVALID.
        CommandError: when the file cannot be read, or others can read it.
    """
    from nightsafe.store.postgres.engine.address import is_url, parse

    return parse(value) if is_url(value) else address_in(Path(value))


def address_in(path: Path) -> "Address":
    """Return the address in a file that only its owner may read.

    Raises:
        NightsafeError: INVALID.
        CommandError: when the file cannot be read, or others can read it.
    """
    from nightsafe.store.postgres.engine.address import parse

    try:
        return parse(read_own_file(path, str(path), _MAX_BYTES))
    except NightsafeError as error:
        raise NightsafeError(Code.INVALID, f"{path}: {error.problems[0].detail}") from None


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option. Its value is not an argument of the command: the data directory takes it."""
    return click.option(
        FLAG,
        metavar="URL|FILE",
        default=None,
        envvar=_VARIABLE,
        show_envvar=True,
        expose_value=False,
        callback=_take,
        help="PostgreSQL database of the safe, or a file with its URL; a password must be in a file or the variable.",
    )(command)


def _take(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Keep the value for the data directory until the command ends, and not in the environment.

    Raises:
        click.BadParameter: when it has a password that other users of the machine can see.
    """
    if value and context.get_parameter_source(parameter.name or "") in _SHOWN:
        refuse_shown_password(value)
    elif value:
        _parse_url(value)
    forget_variable(_VARIABLE)
    token = _STORE.set(value or None)
    context.call_on_close(lambda: _STORE.reset(token))


def refuse_shown_password(value: str) -> None:
    """Refuse a URL with a password that other users can see, or one that is not a URL of PostgreSQL.

    Raises:
        click.BadParameter: when it is one.
    """
    address = _parse_url(value)
    if address is not None and address.password is not None:
        raise click.BadParameter(
            "every user of this machine can see a password on the command line, and perhaps in a settings file: put"
            " the URL into a file of mode 0600 and give its path, or into NIGHTSAFE_STORE, or name a password file in"
            " the URL by passfile=FILE"
        )


def _parse_url(value: str) -> "Address | None":
    """Return the address of a URL; None for a file, which is read when the store is opened.

    Raises:
        click.BadParameter: when it is another URL, or cannot be used.
    """
    from nightsafe.store.postgres.engine.address import is_url, parse

    if not is_url(value):
        if "://" in value:
            raise click.BadParameter("give a URL postgresql://ROLE@HOST/DATABASE, or a file with one")
        return None
    try:
        return parse(value)
    except NightsafeError as error:
        raise click.BadParameter(error.problems[0].detail) from None
