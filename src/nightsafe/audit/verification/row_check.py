"""Compares the other rows of a database with the log: identities, collections, items, retired keys, and contents."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from itertools import chain
from operator import ge
from typing import Final, NamedTuple

from nightsafe.audit.verification.difference import DifferenceError, well_formed
from nightsafe.audit.verification.log_check import Report, read_head
from nightsafe.audit.verification.named_state import NamedState
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.identities import Account, Identity, Membership, Token, User
from nightsafe.store.log.written import (
    ARCHIVED,
    archived_digest,
    collection_digest,
    identity_digest,
    identity_place,
    item_digest,
    row_digest,
)

_ACCOUNTS: Final = "SELECT id, name, created_on FROM accounts"
_USERS: Final = "SELECT id, email, key_digest, created_on, service_key_digest, email_folded FROM users"
_MEMBERSHIPS: Final = "SELECT account_id, user_id, policies, created_on FROM memberships"
_TOKENS: Final = f"SELECT {', '.join(Token.__struct_fields__)} FROM tokens"  # noqa: S608 - our own names
_COLLECTIONS: Final = "SELECT account_id, kind, name, id, body, created_on, modified_on FROM collections"
_ITEMS: Final = """
SELECT account_id, collection_id, environment, name, id, kind, shown, created_on, modified_on, sealed FROM items
"""
_RETIRED: Final = "SELECT id, retired_on FROM retired_keys"
_MISSING_CONTENTS: Final = """
SELECT m.name, coalesce(s.name, m.script_id), m.account_id, lower(hex(m.digest)) FROM modules m
LEFT JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
LEFT JOIN scripts s ON s.account_id = m.account_id AND s.id = m.script_id
WHERE c.digest IS NULL GROUP BY m.account_id, m.script_id, m.name LIMIT ?
"""
_CONTENTS: Final = "SELECT rowid, account_id, digest, length(body) FROM contents"
_ORPHANS: Final = {
    "bindings": """
SELECT account_id, script FROM bindings t WHERE NOT EXISTS (SELECT 1 FROM scripts s
  WHERE s.account_id = t.account_id AND s.namespace = t.namespace AND s.name = t.script) LIMIT 1
""",
    "items": """
SELECT account_id, collection_id FROM items t WHERE NOT EXISTS (SELECT 1 FROM collections h
  WHERE h.account_id = t.account_id AND h.id = t.collection_id) LIMIT 1
""",
} | {
    table: f"""
SELECT account_id, script_id FROM {table} t
WHERE NOT EXISTS (SELECT 1 FROM scripts s WHERE s.account_id = t.account_id AND s.id = t.script_id)
  AND NOT EXISTS (SELECT 1 FROM removals r WHERE r.account_id = t.account_id AND r.script_id = t.script_id) LIMIT 1
"""  # noqa: S608 - our own names
    for table in ("binding_history", "deployments", "versions")
}
"""Rows that belong to nothing. The history of a script that was just deleted is listed in `removals`."""

_PART: Final = 1 << 20


class _Row(NamedTuple):
    """A row to compare: its place, a function of its digest, the time of its last change, and the row in words."""

    place: str
    digest: Callable[[], bytes]
    changed_on: int
    words: str


def check_rows(db: sqlite3.Connection, state: NamedState, report: Report) -> None:
    """Compare identities, collections, items and retired keys with the log.

    Raises:
        DifferenceError: the first difference.
    """
    for place, digest, changed_on, words in chain(_identities(db), _others(db)):
        with well_formed(words):
            state.match(place, digest(), words, is_older=partial(ge, state.older_until, changed_on))
        report(1)
    _check_archived(db, state)


def check_orphans(db: sqlite3.Connection) -> None:
    """Refuse rows whose script or collection does not exist.

    Raises:
        DifferenceError: the first such row.
    """
    for table, sql in _ORPHANS.items():
        row = db.execute(sql).fetchone()
        if row is not None:
            raise DifferenceError(
                f"the table {table} has a row of {row[1]!r} in the account {row[0]}, which does not exist"
            )


def missing_contents(db: sqlite3.Connection, most: int) -> list[str]:
    """Return a sentence for each file without contents, and at most so many.

    Args:
        db: a database of the newest schema.
        most: the most sentences.
    """
    return [
        f"the contents of the file {name!r} of the script {script!r} of the account {account_id}, with the SHA-256"
        f" {digest}, are missing"
        for name, script, account_id, digest in db.execute(_MISSING_CONTENTS, (most,))
    ]


def check_contents(db: sqlite3.Connection, report: Report) -> None:
    """Compare the contents of files with their digests.

    Raises:
        DifferenceError: the first difference, or the first file without contents.
    """
    for missing in missing_contents(db, 1):
        raise DifferenceError(missing)
    for row, account_id, digest, size in db.execute(_CONTENTS):
        actual = sha256()
        with db.blobopen("contents", "body", row, readonly=True) as blob:
            for _ in range(0, size, _PART):
                actual.update(blob.read(_PART))
        if actual.digest() != digest:
            raise DifferenceError(
                f"the contents of the file with the SHA-256 {digest.hex()} of the account {account_id} were changed"
            )
        report(1)


def _check_archived(db: sqlite3.Connection, state: NamedState) -> None:
    """Compare the number of archived entries with the log. The newest entry about it is never archived."""
    archived = read_head(db).archived
    if state.has(ARCHIVED):
        state.match(ARCHIVED, archived_digest(archived), f"the number of archived entries, {archived},")
    elif archived:
        raise DifferenceError(f"the database says that {archived} entries are archived, but the log does not")


def _identities(db: sqlite3.Connection) -> Iterator[_Row]:
    """Yield each identity."""
    for identity, changed_on, words in _read_identities(db):
        yield _Row(identity_place(identity), partial(identity_digest, identity), changed_on, words)


def _read_identities(db: sqlite3.Connection) -> Iterator[tuple[Identity, int, str]]:
    """Yield each identity, the time of its last change, and the identity in words."""
    for row in db.execute(_ACCOUNTS):
        account = Account(*row)
        yield account, account.created_on, f"the account {account.id}"
    for *row, folded in db.execute(_USERS):
        user = User(*row)
        if folded != user.email.casefold():
            raise DifferenceError(f"the user {user.id} would be found under another e-mail address")
        yield user, user.created_on, f"the user {user.id}"
    for row in db.execute(_MEMBERSHIPS):
        member = Membership(*row)
        words = f"the membership of the user {member.user_id} in the account {member.account_id}"
        yield member, member.created_on, words
    for row in db.execute(_TOKENS):
        token = Token(**dict(zip(Token.__struct_fields__, row, strict=True)))
        yield token, token.modified_on, f"the token {token.id} (its policies, state, secret or another field)"


def _others(db: sqlite3.Connection) -> Iterator[_Row]:
    """Yield each other row."""
    for account_id, kind, name, row_id, body, created_on, modified_on in db.execute(_COLLECTIONS):
        words = f"the {kind.replace('_', ' ')} {name!r} of the account {account_id}"
        with well_formed(words):
            collection = Collection(
                account_id=account_id,
                kind=Kind(kind),
                name=name,
                id=row_id,
                body=body,
                created_on=created_on,
                modified_on=modified_on,
            )
        yield _Row(f"collection/{row_id}", partial(collection_digest, collection), modified_on, words)
    for account_id, owner, environment, name, row_id, kind, shown, created_on, modified_on, sealed in db.execute(
        _ITEMS
    ):
        item = Item(
            environment=environment,
            name=name,
            id=row_id,
            kind=kind,
            shown=shown,
            created_on=created_on,
            modified_on=modified_on,
            sealed=sealed,
        )
        words = f"the item {name!r} of the collection {owner} of the account {account_id}"
        yield _Row(f"item/{owner}/{environment}/{name}", partial(item_digest, item), modified_on, words)
    for key_id, retired_on in db.execute(_RETIRED):
        digest = partial(row_digest, "Retired", key_id, retired_on)
        yield _Row(f"retired/{key_id}", digest, retired_on, f"the retired key {key_id}")
