"""The rows of identities, keys, values, approvals and references, in SQL."""

from typing import Final

from msgspec.structs import astuple

from nightsafe.store.bundles import StoredApproval
from nightsafe.store.identities import Account, Identity, Membership, RefusedRow, Token, User
from nightsafe.store.identity_macs import IDENTITY_TABLES
from nightsafe.store.postgres.reads.references import bindings_queries, candidates_of, settings_of, settings_query
from nightsafe.store.postgres.reads.sealed_values import VALUE_TABLES, parse_mark
from nightsafe.store.postgres.writes.asking import Asking, Query
from nightsafe.store.references import ReferenceCandidates
from nightsafe.store.rules.rows import Place

_IS_UNCHANGED: Final = "SELECT 1 FROM tokens WHERE id = $1 AND digest = $2 AND modified_on = $3"
_PUT: Final[dict[type[Identity], str]] = {
    Account: """
INSERT INTO accounts (id, name, created_on, mac) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, created_on = excluded.created_on,
  mac = excluded.mac
""",
    User: """
INSERT INTO users (id, email, key_digest, created_on, service_key_digest, mac, email_folded)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET email = excluded.email, key_digest = excluded.key_digest,
  created_on = excluded.created_on, service_key_digest = excluded.service_key_digest,
  mac = excluded.mac, email_folded = excluded.email_folded
""",
    Membership: """
INSERT INTO memberships (account_id, user_id, policies, created_on, mac) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id, user_id) DO UPDATE SET policies = excluded.policies, created_on = excluded.created_on,
  mac = excluded.mac
""",
    Token: """
INSERT INTO tokens (id, digest, user_id, name, status, policies, issued_on, modified_on, not_before, expires_on,
  account_id, condition, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, user_id = excluded.user_id, name = excluded.name,
  status = excluded.status, policies = excluded.policies, issued_on = excluded.issued_on,
  modified_on = excluded.modified_on, not_before = excluded.not_before, expires_on = excluded.expires_on,
  account_id = excluded.account_id, condition = excluded.condition,
  mac = excluded.mac
""",
}
_TOKEN_EXISTS: Final = "SELECT 1 FROM tokens WHERE id = $1"  # noqa: S105 - SQL
_DROP_TOKEN: Final = "DELETE FROM tokens WHERE id = $1"  # noqa: S105 - SQL
_RETIRE: Final = "INSERT INTO retired_keys (id, retired_on) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_RING: Final = "UPDATE ring SET number = greatest(number, $1)"
_IN_USE: Final = " UNION ALL ".join(
    f"SELECT 1 FROM accounts a WHERE EXISTS (SELECT 1 FROM {table} t WHERE t.account_id = a.id AND t.key_id = $1)"  # noqa: S608 - our own SQL
    for table in ("bindings", "binding_history", "items")
)
_APPROVAL: Final = """
INSERT INTO approvals (account_id, script_id, made_for, key_id, made_at, code, value_digest, public, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""
_MAY_ARCHIVE: Final = "SELECT 1 FROM log_head WHERE archived = $1 AND size >= $2"
_COUNT_ARCHIVED: Final = "UPDATE log_head SET archived = $1"
_EMPTY_ENTRIES: Final = "UPDATE audit SET entry = ''::bytea WHERE seq > $1 AND seq <= $2"
_REFUSED: Final = {
    "accounts": ("id",),
    "users": ("id",),
    "memberships": ("account_id", "user_id"),
    "tokens": ("id",),
}
"""The columns that identify a row of an identity."""


class SafeRows(Asking):
    """The part of `Rows` for identities, keys, values, approvals and references.

    Attributes:
        retired: the ids of the retired keys.
    """

    retired: frozenset[str]

    def is_unchanged(self, token: Token) -> bool:
        """See `Rows.is_unchanged`."""
        return self._one(_IS_UNCHANGED, token.id, token.digest, token.modified_on) is not None

    def put_identity(self, identity: Identity, mac: bytes) -> None:
        """See `Rows.put_identity`."""
        values = (*astuple(identity), mac)
        if isinstance(identity, User):
            values = (*values, identity.email.casefold())
        self._do(_PUT[type(identity)], *values)

    def drop_token(self, token_id: str) -> bool:
        """See `Rows.drop_token`."""
        if self._one(_TOKEN_EXISTS, token_id) is None:
            return False
        self._do(_DROP_TOKEN, token_id)
        self.altered[_TOKEN_EXISTS, (token_id,)] = []
        return True

    def drop_refused(self, row: RefusedRow) -> bool:
        """See `Rows.drop_refused`."""
        keys = _REFUSED[row.table]
        condition = " AND ".join(f"{key} = ${place}" for place, key in enumerate(keys, start=1))
        found = f"FROM {row.table} WHERE {condition} AND {contents_of(row.table)} = ${len(keys) + 1}"
        parameters = (*row.name.split(" "), row.contents)
        if self._one(f"SELECT 1 {found}", *parameters) is None:
            return False
        self._do(f"DELETE {found}", *parameters)
        return True

    def is_retired(self, key_id: str) -> bool:
        """See `Rows.is_retired`."""
        return key_id in self.retired

    def retire_key(self, key_id: str, at: int) -> bool:
        """See `Rows.retire_key`."""
        if self.is_retired(key_id):
            return False
        self._do(_RETIRE, key_id, at)
        return True

    def is_key_in_use(self, key_id: str) -> bool:
        """See `Rows.is_key_in_use`."""
        return self._one(_IN_USE, key_id) is not None

    def keep_ring_number(self, number: int) -> None:
        """See `Rows.keep_ring_number`."""
        self._do(_RING, number)

    def stored_value(self, account_id: str, mark: str, sealed: bytes) -> tuple[int, str] | None:
        """See `Rows.stored_value`."""
        sql, parameters = self.value_query(account_id, mark, sealed)
        row = self._one(sql, *parameters)
        return None if row is None else (row[0], row[1])

    def value_query(self, account_id: str, mark: str, sealed: bytes) -> Query:
        """Return the query of `stored_value`, for a change that asks for many."""
        letter, owner, key = parse_mark(mark)
        return VALUE_TABLES[letter].stored, (account_id if owner == account_id else "", *key, sealed)

    def reseal(self, account_id: str, mark: str, sealed: bytes, key_id: str, place: Place) -> None:
        """See `Rows.reseal`."""
        letter, _, key = parse_mark(mark)
        self._do(VALUE_TABLES[letter].reseal, account_id, *key, sealed, key_id, *place)

    def references(self, account_id: str, name: str) -> ReferenceCandidates:
        """See `Rows.references`."""
        found = [self._all(*query) for query in bindings_queries(account_id, name)]
        settings = settings_of(account_id, self._all(*settings_query(account_id, name)))
        return ReferenceCandidates(tuple(candidates_of(account_id, *found)), tuple(settings))

    def keep_approval(self, account_id: str, stored: StoredApproval) -> None:
        """See `Rows.keep_approval`."""
        approval = stored.approval
        made = (stored.script_id, stored.version_id, approval.key, approval.made_at)
        digests = (approval.code, approval.values, approval.public, approval.signature)
        self._do(_APPROVAL, account_id, *made, *digests)

    def empty_archived(self, first: int, end: int) -> bool:
        """See `Rows.empty_archived`."""
        if self._one(_MAY_ARCHIVE, first, end) is None:
            return False
        self._do(_COUNT_ARCHIVED, end)
        self._do(_EMPTY_ENTRIES, first, end)
        return True


def contents_of(table: str) -> str:
    """Return an expression for the contents of a row of an identity, all columns in one text."""
    [columns] = [one.kind.__struct_fields__ for one in IDENTITY_TABLES if one.name == table]
    return " || ' ' || ".join(f"coalesce({column}::text, 'NULL')" for column in (*columns, "mac"))
