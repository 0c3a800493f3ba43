"""`nightsafe version`: lists and shows the versions of a script."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import click
import msgspec

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.errors import NOT_FOUND, CommandError
from nightsafe.cli.terminal.output import fields_table, show_json, show_table
from nightsafe.cli.terminal.times import shown
from nightsafe.client import Version

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFIX: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,}")
_SHORT: Final = 8
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
HEAD: Final = ("number", "id", "created_on", "by", "author", "note")
ELASTIC: Final = (3, 4, 5)
"""The columns that a narrow terminal may cut."""


def find_version(remote: Remote, named: str) -> Version:
    """Find a version by its ID, its number, or at least the first four characters of its ID.

    Raises:
        CommandError: if no version matches, or several do.
    """
    versions = remote.client.workers.scripts.versions
    if UUID.fullmatch(named.lower()):
        return versions.get(named.lower(), **remote.place)
    numbered, prefix = bool(_NUMBER.fullmatch(named)), bool(PREFIX.fullmatch(named.lower()))
    if not numbered and not prefix:
        raise CommandError(
            f"{named!r} is not a version: give its number, its ID, or at least the first four characters of its ID"
        )
    every = list(versions.list(remote.script, account_id=remote.account_id, per_page=100))
    found = [one for one in every if numbered and one.number == int(named)]
    found = found or [one for one in every if prefix and one.id.startswith(named.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"several versions of {remote.script} begin with {named}; give more characters of the ID")
    raise CommandError(f"{remote.script} has no version {named}; run `nightsafe version list` to see them", NOT_FOUND)


def row(version: Version) -> list[str]:
    """Return a version as a row of the table."""
    metadata = version.metadata
    return [
        number_of(version),
        short(version.id),
        shown(metadata.created_on if metadata else None),
        by(version.annotations, metadata.source if metadata else None),
        (metadata.author_email if metadata else None) or "-",
        metadata_of(version.annotations),
    ]


def short(named: str) -> str:
    """Return the first characters of an ID, as lists show it. Every command accepts them in place of the ID."""
    return named[:_SHORT]


def number_of(version: Version) -> str:
    """Return a version's number, or `-`."""
    return "-" if version.number is None else f"{version.number:.0f}"


def by(annotations: Mapping[str, Any] | None, source: str | None) -> str:
    """Return the kind of change and the client that made a version, for example `secret, api`."""
    trigger = (annotations or {}).get("workers/triggered_by")
    return ", ".join(str(one) for one in (trigger, source) if one) or "-"


def metadata_of(annotations: Mapping[str, Any] | None) -> str:
    """Return the message of a version or deployment, or `-`."""
    return str((annotations or {}).get("workers/message") or "-")


@click.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Show at most this many.")
@script_options
@json_option
def list_command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the versions of a script, newest first.

    The table shows the first characters of each ID. Commands accept them in place of the ID.
    """
    page = min(limit, 100)
    every = remote.client.workers.scripts.versions.list(remote.script, account_id=remote.account_id, per_page=page)
    versions = list(islice(every, limit))
    if as_json:
        show_json({"script": remote.script, "versions": [msgspec.to_builtins(one) for one in versions]})
    else:
        show_table(HEAD, [row(one) for one in versions], elastic=ELASTIC)


@click.command("show")
@click.argument("version")
@script_options
@json_option
def show_command(*, remote: Remote, version: str, as_json: bool) -> None:
    """Show one version, by its number, its ID, or the first characters of its ID."""
    found = find_version(remote, version)
    if found.resources is None:
        found = remote.client.workers.scripts.versions.get(found.id, **remote.place)
    if as_json:
        show_json({"script": remote.script, **msgspec.to_builtins(found)})
        return
    metadata, resources = found.metadata, found.resources
    bindings = (resources.bindings if resources else None) or []
    runtime = (resources.script_runtime if resources else None) or {}
    fields_table(
        {
            "id": found.id,
            "number": number_of(found),
            "created_on": shown(metadata.created_on if metadata else None),
            "author": metadata.author_email if metadata else None,
            "by": by(found.annotations, metadata.source if metadata else None),
            "note": metadata_of(found.annotations),
            "compatibility_date": runtime.get("compatibility_date"),
            "bindings": ", ".join(f"{one.get('name')} ({one.get('type')})" for one in bindings),
        }
    )
