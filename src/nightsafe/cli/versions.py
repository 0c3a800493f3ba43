"""Finding versions, and what is shown of them."""

import re
from collections.abc import Mapping
from typing import Any, Final

from nightsafe.cli.refusal import NOT_FOUND, CommandError
from nightsafe.cli.remote import Remote
from nightsafe.cli.times import shown
from nightsafe.client import Version

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PREFIX: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,}")
_SHORT: Final = 8
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
HEAD: Final = ("number", "id", "created_on", "by", "author", "note")
ELASTIC: Final = (3, 4, 5)
"""The columns that a narrow terminal may cut."""


def find_version(remote: Remote, named: str) -> Version:
    """A version by its id, its number, or the first letters of its id.

    Raises:
        CommandError: when there is none, or several.
    """
    versions = remote.client.workers.scripts.versions
    if UUID.fullmatch(named.lower()):
        return versions.get(named.lower(), **remote.place)
    numbered, prefix = bool(_NUMBER.fullmatch(named)), bool(PREFIX.fullmatch(named.lower()))
    if not numbered and not prefix:
        raise CommandError(
            f"{named!r} is no version: give its number, its id, or the id's first four letters or more"
        )
    every = list(versions.list(remote.script, account_id=remote.account_id, per_page=100))
    found = [one for one in every if numbered and one.number == int(named)]
    found = found or [one for one in every if prefix and one.id.startswith(named.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"several versions of {remote.script} begin with {named}; give more of the id")
    raise CommandError(
        f"{remote.script} has no version {named}; `nightsafe version list` shows which there are", NOT_FOUND
    )


def row(version: Version) -> list[str]:
    """A line of a table."""
    metadata = version.metadata
    return [
        number_of(version),
        short(version.id),
        shown(metadata.created_on if metadata else None),
        by(version.annotations, metadata.source if metadata else None),
        (metadata.author_email if metadata else None) or "-",
        note_of(version.annotations),
    ]


def short(named: str) -> str:
    """The first letters of an id, as lists show it; every command takes them for the whole."""
    return named[:_SHORT]


def number_of(version: Version) -> str:
    """Its number, or `-`."""
    return "-" if version.number is None else f"{version.number:.0f}"


def by(annotations: Mapping[str, Any] | None, source: str | None) -> str:
    """What made it, and with which client: `secret, api`."""
    trigger = (annotations or {}).get("workers/triggered_by")
    return ", ".join(str(one) for one in (trigger, source) if one) or "-"


def note_of(annotations: Mapping[str, Any] | None) -> str:
    """What was said about it, in one line."""
    return str((annotations or {}).get("workers/message") or "-")
