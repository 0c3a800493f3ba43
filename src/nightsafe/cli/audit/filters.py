"""The options that select entries of the audit log, and the entries' form in a table."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import click

from nightsafe.api.http.times import format_time, parse_time
from nightsafe.audit.entry import REFUSED
from nightsafe.audit.facts import FAILURE, SUCCESS
from nightsafe.cli.audit.entry_source import ShownEntry
from nightsafe.cli.settings.options import check_text, is_account_id

HEAD: Final = ("index", "time", "actor", "action", "resource", "names", "address")
NARROW: Final = 5
"""How many of the columns a narrow terminal shows."""

_MACHINES: Final = ("operator", "system")
"""The kinds of actors that have no id."""

ELASTIC: Final = (2, 4)
"""The columns that a narrow terminal may cut."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Filter(NamedTuple):
    """Selects entries. None selects all.

    Attributes:
        account_id: the account's id.
        since: the time of the oldest entry, in microseconds.
        until: the time that all entries are before, in microseconds.
        actor: id or e-mail address of the actor.
        script: name of the script, or the dispatch namespace, a slash and the name.
        action: an action, or a pattern with `*`.
        result: `success` for a change, `failure` for a request that was refused.
    """

    account_id: str | None
    since: int | None
    until: int | None
    actor: str | None
    script: str | None
    action: str | None
    result: str | None

    def selects(self, entry: ShownEntry) -> bool:
        """Return True if the filter selects an entry."""
        fields = entry.fields
        at = fields.get("at", 0)
        return (
            self.account_id in {None, fields.get("account_id")}
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and (self.actor is None or self.actor.casefold() in _actors_of(fields))
            and self.script in {None, script_of(fields)}
            and (self.action is None or fnmatchcase(fields.get("action", ""), self.action))
            and self.result in {None, result_of(fields)}
        )


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `make_filter` takes."""
    options = (
        click.option("--account-id", metavar="HEX32", callback=_check_account, help="Only entries of this account."),
        click.option(
            "--since", metavar="TIME", callback=_check_moment, help="Only entries from this time or date on."
        ),
        click.option(
            "--until", metavar="TIME", callback=_check_moment, help="Only entries before this time or date."
        ),
        click.option(
            "--actor",
            callback=_check_optional,
            help="Only of this token ID, user ID or e-mail, or of `operator`.",
        ),
        click.option("--script", callback=_check_optional, help="Only entries about this script: [NAMESPACE/]NAME."),
        click.option(
            "--action", callback=_check_optional, help="Only this action, for example secrets.put or 'tokens.*'."
        ),
        click.option(
            "--result",
            type=click.Choice([SUCCESS, FAILURE]),
            help="Only what was done, or only refused requests.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def script_of(fields: dict[str, Any]) -> str:
    """Return the script of an entry, or ""."""
    namespace, script = fields.get("namespace", ""), fields.get("script", "")
    return f"{namespace}/{script}" if namespace else script


def _actors_of(fields: dict[str, Any]) -> set[str]:
    """Return the ids and the e-mail address of an entry's actor, folded, as addresses are compared without case."""
    found = {str(fields.get(name, "")).casefold() for name in ("actor", "email", "user")}
    return found | {str(fields.get("actor_kind", ""))} if fields.get("actor_kind") in _MACHINES else found


def result_of(fields: dict[str, Any]) -> str:
    """Return the result of an entry: whether the change was made, or the request was refused."""
    return FAILURE if fields.get("outcome") == REFUSED else SUCCESS


def row(entry: ShownEntry) -> list[str]:
    """Return the cells of an entry in a table."""
    fields = entry.fields
    dropped = [f"-{name}" for name in fields.get("dropped", ())]
    return [
        str(entry.index),
        format_time(fields.get("at", 0) // 1_000_000 * 1_000_000),
        str(fields.get("email") or fields.get("actor") or fields.get("actor_kind", "-")),
        f"{fields.get('action', '-')}{_outcome(fields)}",
        script_of(fields) or str(fields.get("resource", "")) or "-",
        " ".join([*fields.get("set", ()), *dropped]) or "-",
        str(fields.get("address") or "-"),
    ]


def _outcome(fields: dict[str, Any]) -> str:
    """Return the words after the action of a refused request, or of several that one entry counts."""
    if result_of(fields) != FAILURE:
        return ""
    return f" (refused {fields['repeated']} times)" if fields.get("repeated") else " (refused)"


def as_json(entry: ShownEntry) -> dict[str, Any]:
    """Return an entry as a JSON object, with its index and its time in words."""
    return {"index": entry.index, "time": format_time(entry.fields.get("at", 0)), **entry.fields}


def _check_account(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Check the form of an account's id."""
    if value is not None and not is_account_id(value):
        raise click.BadParameter("give 32 lower-case hex digits")
    return value


def _check_moment(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Parse a time or a date to microseconds since 1970. A date stands for its first moment in UTC."""
    if value is None:
        return None
    try:
        return parse_time(f"{value}T00:00:00Z" if _DATE.fullmatch(value) else value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time; give a date like 2030-01-31, or a time like 2030-01-31T12:00:00Z"
        ) from None


def _check_optional(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an argument that was not UTF-8."""
    return None if value is None else check_text(ctx, parameter, value)
