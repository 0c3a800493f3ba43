"""`nightsafe keys status`: shows the keys, the number of values under each, and the tokens that may reseal them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from nightsafe.api.http.times import format_time
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.node.rows import node_rows
from nightsafe.cli.settings.options import data_option, json_option
from nightsafe.cli.terminal.output import show_json, show_table
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_file import State
from nightsafe.services.key_rotation.recipient_keys import RecipientKeyRecord, recipient_key_record
from nightsafe.services.key_rotation.status import RESEALING, PendingAccount, accounts_with_older_values
from nightsafe.store.interface import Store

_COLUMNS = ("id", "suite", "state", "values")


class _RingStatus(Struct, frozen=True):
    """The ring in use, and the database's knowledge of the keys."""

    ring: PublicRing
    key_record: RecipientKeyRecord
    waiting: list[PendingAccount]


@click.command("status")
@data_option
@json_option
def status(data: Path, *, as_json: bool) -> None:
    """Show every key with its number of values. Also show the tokens that may reseal values, and the nodes."""
    directory = DataDirectory(data)

    async def read(store: Store) -> _RingStatus:
        """Read the ring and the database."""
        ring = PublicRing.load(directory.public_ring)
        return _RingStatus(
            ring, await recipient_key_record(store), await accounts_with_older_values(store, ring.primary.id)
        )

    ring_status = directory.run(read)
    ring, keys = ring_status.ring, _keys(ring_status.ring, ring_status.key_record)
    if as_json:
        waiting = sum(account.values for account in ring_status.waiting)
        show_json(
            {
                "number": ring.number,
                "fingerprint": ring.identity.fingerprint,
                "signed": ring.lineage.signer is not None,
                "keys": keys,
                "waiting": waiting,
                "resealing": _waiting_fields(ring_status.waiting),
                "nodes": node_rows(directory),
            }
        )
        return
    show_table(_COLUMNS, [[str(key[column] or "-") for column in _COLUMNS] for key in keys])
    click.echo(f"The ring's fingerprint is {ring.identity.fingerprint}.")
    if ring.lineage.signer is None:
        click.echo(
            "It does not name the signer of the next ring, so no client would follow a rotation. Run: "
            "nightsafe keys sign"
        )
    nodes = node_rows(directory)
    if len(nodes) > 1:
        in_use = ", ".join(node["name"] or node["id"] for node in nodes if node["until"] is None)
        click.echo(f"Nodes that sign: {in_use}. See: nightsafe node list")
    for account in ring_status.waiting:
        click.echo(_describe_waiting(account, several=len(ring_status.waiting) > 1))


def _keys(ring: PublicRing, key_record: RecipientKeyRecord) -> list[dict[str, Any]]:
    """Return the keys of the ring, and other keys that values are sealed to."""
    rows: list[tuple[str, str, str]] = [
        (key.id, key.suite.value, State.RETIRED if _is_retired_elsewhere(key.id, ring, key_record) else key.state)
        for key in ring.keys
    ]
    rows += [(key_id, "", "unknown") for key_id in sorted(key_record.values) if ring.get(key_id) is None]
    return [
        {"id": key_id, "suite": suite, "state": str(state), "values": key_record.values.get(key_id, 0)}
        for key_id, suite, state in rows
    ]


def _is_retired_elsewhere(key_id: str, ring: PublicRing, key_record: RecipientKeyRecord) -> bool:
    """Return whether the database has retired a key that the file only lists as an older one."""
    return key_id in key_record.retired and key_id != ring.primary.id


def _waiting_fields(waiting: Sequence[PendingAccount]) -> list[dict[str, Any]]:
    """Return the waiting values and the tokens that may reseal them, by account, for JSON."""
    return [
        {
            "account_id": account.account_id,
            "values": account.values,
            "tokens": [{"id": token_id, "name": name} for token_id, name in account.tokens],
            "last_on": None if account.last_on is None else format_time(account.last_on),
        }
        for account in waiting
    ]


def _describe_waiting(account: PendingAccount, *, several: bool) -> str:
    """Return a sentence about the waiting values and the tokens that may reseal them."""
    summary = f"{account.values} values{f' of account {account.account_id}' if several else ''} wait to be resealed"
    if not account.tokens:
        return (
            f"{summary}, but no process does it: no token has the permission {RESEALING}, so delivery processes "
            "leave them as they are. Run: nightsafe keys reseal"
        )
    names = ", ".join(f"{name} ({token_id})" for token_id, name in account.tokens)
    last = "none has been yet" if account.last_on is None else f"the last one was at {format_time(account.last_on)}"
    return (
        f"{summary}; {last}. A running process with one of these tokens does it: {names}. To do it now, run: "
        "nightsafe keys reseal"
    )
