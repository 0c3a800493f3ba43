"""`nightsafe keys status`: the keys, how many values are sealed to each, and whether anybody seals them anew."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from nightsafe.api.http.times import format_time
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.output import show_json, show_table
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.services.key_rotation.recipient_keys import Known, known_of
from nightsafe.services.key_rotation.status import RESEALING, Waiting, waiting_under_older
from nightsafe.store.interface import Store

_COLUMNS = ("id", "suite", "state", "values")


class _Found(Struct, frozen=True):
    """The ring in use, and what the database tells."""

    ring: PublicRing
    known: Known
    waiting: list[Waiting]


@click.command("status")
@data_option
@json_option
def status(data: Path, *, as_json: bool) -> None:
    """Show every key with its state and how many values are sealed to it, and who may seal them anew."""
    directory = DataDirectory(data)

    async def look(store: Store) -> _Found:
        """Read all of it."""
        ring = PublicRing.load(directory.public_ring)
        return _Found(ring, await known_of(store), await waiting_under_older(store, ring.primary.id))

    found = directory.run(look)
    ring, keys = found.ring, _keys(found.ring, found.known)
    if as_json:
        waiting = sum(one.values for one in found.waiting)
        show_json(
            {
                "number": ring.number,
                "fingerprint": ring.identity.fingerprint,
                "signed": ring.lineage.signer is not None,
                "keys": keys,
                "waiting": waiting,
                "resealing": _as_json(found.waiting),
            }
        )
        return
    show_table(_COLUMNS, [[str(key[column] or "-") for column in _COLUMNS] for key in keys])
    click.echo(f"The ring's fingerprint is {ring.identity.fingerprint}.")
    if ring.lineage.signer is None:
        click.echo(
            "It does not say who signs the next one, so no client would follow a rotation: nightsafe keys sign"
        )
    for one in found.waiting:
        click.echo(_sentence(one, several=len(found.waiting) > 1))


def _keys(ring: PublicRing, known: Known) -> list[dict[str, Any]]:
    """The keys of the ring, and those that values are sealed to all the same."""
    rows: list[tuple[str, str, str]] = [
        (key.id, key.suite.value, State.RETIRED if _is_given_up(key.id, ring, known) else key.state)
        for key in ring.keys
    ]
    rows += [(key_id, "", "unknown") for key_id in sorted(known.values) if ring.get(key_id) is None]
    return [
        {"id": key_id, "suite": suite, "state": str(state), "values": known.values.get(key_id, 0)}
        for key_id, suite, state in rows
    ]


def _is_given_up(key_id: str, ring: PublicRing, known: Known) -> bool:
    """Whether the database refuses a key that is no more than an older one in the file."""
    return key_id in known.retired and key_id != ring.primary.id


def _as_json(waiting: Sequence[Waiting]) -> list[dict[str, Any]]:
    """Who may do it, by account."""
    return [
        {
            "account_id": one.account_id,
            "values": one.values,
            "tokens": [{"id": token_id, "name": name} for token_id, name in one.tokens],
            "last_on": None if one.last_on is None else format_time(one.last_on),
        }
        for one in waiting
    ]


def _sentence(one: Waiting, *, several: bool) -> str:
    """What is to be done, and whether anybody does it."""
    what = f"{one.values} values{f' of account {one.account_id}' if several else ''} are to be sealed anew"
    if not one.tokens:
        return (
            f"{what}, and nobody does it: no token has the permission {RESEALING}, so a delivery process leaves them "
            "as they are. Run: nightsafe keys reseal"
        )
    names = ", ".join(f"{name} ({token_id})" for token_id, name in one.tokens)
    last = "none was yet" if one.last_on is None else f"the last was at {format_time(one.last_on)}"
    return (
        f"{what}; {last}. A process with one of these tokens does it while it runs: {names}. To do it now: "
        "nightsafe keys reseal"
    )
