"""The reads of approvals, in SQL."""

from collections.abc import Sequence
from typing import Final

import msgspec

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite.engine.reader import Reader
from nightsafe.store.sqlite.reads.rows import HEAD

_COLUMNS: Final = "SELECT script_id, made_for, public, made_at, code, value_digest, signature FROM approvals"
_NEWEST: Final = f"{_COLUMNS} WHERE account_id = ? AND script_id = ? ORDER BY made_at DESC LIMIT ?"
_NEWEST_OF: Final = f"""
{_COLUMNS} WHERE account_id = ? AND script_id = ? AND key_id IN (SELECT value FROM json_each(?))
ORDER BY made_at DESC LIMIT ?
"""  # noqa: S608 - our own SQL
_OF_CODE: Final = f"""
{_COLUMNS} WHERE account_id = ? AND script_id = ? AND code = ? AND key_id IN (SELECT value FROM json_each(?))
ORDER BY made_at DESC LIMIT ?
"""  # noqa: S608 - our own SQL


class ApprovalReads:
    """The part of `Store` that reads approvals."""

    _reader: Reader

    async def approvals(self, ref: ScriptRef, keys: Sequence[str] = (), limit: int = 100) -> list[StoredApproval]:
        """See `Store.approvals`."""
        if not keys:
            return self._approvals(_NEWEST, ref, limit)
        return self._approvals(_NEWEST_OF, ref, msgspec.json.encode(keys).decode(), limit)

    async def approvals_of(
        self, ref: ScriptRef, code: bytes, keys: Sequence[str], limit: int = 100
    ) -> list[StoredApproval]:
        """See `Store.approvals_of`."""
        return self._approvals(_OF_CODE, ref, code, msgspec.json.encode(keys).decode(), limit)

    def _approvals(self, query: str, ref: ScriptRef, *arguments: object) -> list[StoredApproval]:
        """Read approvals of a script."""
        head = self._reader.one(HEAD, key_of(ref))
        if head is None:
            return []
        return [_approval(*row) for row in self._reader.all(query, (ref.account_id, head[0], *arguments))]


def _approval(  # noqa: PLR0913, PLR0917 - the columns of a row
    script_id: str, made_for: bytes, public: bytes, made_at: int, code: bytes, values: bytes, signature: bytes
) -> StoredApproval:
    """Build an approval from its row."""
    approval = Approval(public=public, made_at=made_at, code=code, values=values, signature=signature)
    return StoredApproval(script_id, made_for, approval)
