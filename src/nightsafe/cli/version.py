"""`nightsafe version`: lists and shows the versions of a script."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import click
import msgspec

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import show_fields, show_json, show_table
from nightsafe.cli.terminal.times import display_time
from nightsafe.client import Version

T = TypeVar("T")

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFIX: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,}")
_SHORT: Final = 8
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_MAX_PER_PAGE: Final = 100
HEAD: Final = ("number", "id", "created_on", "by", "author", "note")
ELASTIC: Final = (3, 4, 5)
"""The columns that a narrow terminal may cut."""

limit_option = click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Show at most this many."
)


def find_version(remote: Remote, query: str) -> Version:
    """Find a version by its ID, its number, or at least the first four characters of its ID.

    Raises:
        CommandError: if no version matches, or several do.
    """
    versions = remote.client.workers.scripts.versions
    if UUID.fullmatch(query.lower()):
        return versions.get(query.lower(), **remote.script_arguments)
    is_number, prefix = bool(_NUMBER.fullmatch(query)), bool(PREFIX.fullmatch(query.lower()))
    if not is_number and not prefix:
        raise CommandError(
            f"{query!r} is not a version: give its number, its ID, or at least the first four characters of its ID"
        )
    all_versions = list(versions.list(remote.script, account_id=remote.account_id, per_page=_MAX_PER_PAGE))
    matches = [version for version in all_versions if is_number and version.number == int(query)]
    matches = matches or [version for version in all_versions if prefix and version.id.startswith(query.lower())]
    return only_match(matches, "version", remote, query)


def only_match(matches: Sequence[T], kind: str, remote: Remote, query: str) -> T:
    """Return the only item that matches a query.

    Args:
        matches: the items of the script that match.
        kind: `version` or `deployment`, for the messages.
        remote: the script.
        query: the number, or the first characters of the ID.

    Raises:
        CommandError: if no item matches, or several do.
    """
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise CommandError(f"several {kind}s of {remote.script} begin with {query}; give more characters of the ID")
    raise CommandError(f"{remote.script} has no {kind} {query}; run `nightsafe {kind} list` to see them", NOT_FOUND)


def newest(list_items: Callable[..., Iterable[T]], remote: Remote, limit: int) -> list[T]:
    """Return the newest versions or deployments of a script.

    Args:
        list_items: the client's method that lists them.
        remote: the script.
        limit: the most items to return.
    """
    items = list_items(remote.script, account_id=remote.account_id, per_page=min(limit, _MAX_PER_PAGE))
    return list(islice(items, limit))


def row(version: Version) -> list[str]:
    """Return a version as a row of the table."""
    metadata = version.metadata
    return [
        number_of(version),
        short_id(version.id),
        display_time(metadata.created_on if metadata else None),
        trigger_and_source(version.annotations, metadata.source if metadata else None),
        (metadata.author_email if metadata else None) or "-",
        note_of(version.annotations),
    ]


def short_id(query: str) -> str:
    """Return the first characters of an ID, as lists show it. Every command accepts them in place of the ID."""
    return query[:_SHORT]


def number_of(version: Version) -> str:
    """Return a version's number, or `-`."""
    return "-" if version.number is None else f"{version.number:.0f}"


def trigger_and_source(annotations: Mapping[str, Any] | None, source: str | None) -> str:
    """Return the kind of change and the client that made a version, for example `secret, api`."""
    trigger = (annotations or {}).get("workers/triggered_by")
    return ", ".join(str(part) for part in (trigger, source) if part) or "-"


def note_of(annotations: Mapping[str, Any] | None) -> str:
    """Return the message of a version or deployment, or `-`."""
    return str((annotations or {}).get("workers/message") or "-")


@click.command("list")
@limit_option
@script_options
@json_option
def list_command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the versions of a script, newest first.

    The table shows the first characters of each ID. Commands accept them in place of the ID.
    """
    versions = newest(remote.client.workers.scripts.versions.list, remote, limit)
    if as_json:
        show_json({"script": remote.script, "versions": [msgspec.to_builtins(version) for version in versions]})
    else:
        show_table(HEAD, [row(version) for version in versions], elastic=ELASTIC)


@click.command("show")
@click.argument("version")
@script_options
@json_option
def show_command(*, remote: Remote, version: str, as_json: bool) -> None:
    """Show one version, by its number, its ID, or the first characters of its ID."""
    found = find_version(remote, version)
    if found.resources is None:
        found = remote.client.workers.scripts.versions.get(found.id, **remote.script_arguments)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
        return
    metadata, resources = found.metadata, found.resources
    bindings = (resources.bindings if resources else None) or []
    runtime = (resources.script_runtime if resources else None) or {}
    show_fields(
        {
            "id": found.id,
            "number": number_of(found),
            "created_on": display_time(metadata.created_on if metadata else None),
            "author": metadata.author_email if metadata else None,
            "by": trigger_and_source(found.annotations, metadata.source if metadata else None),
            "note": note_of(found.annotations),
            "compatibility_date": runtime.get("compatibility_date"),
            "bindings": ", ".join(f"{binding.get('name')} ({binding.get('type')})" for binding in bindings),
        }
    )
