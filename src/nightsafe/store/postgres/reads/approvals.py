"""The reads of approvals, in SQL."""

from collections.abc import Sequence
from typing import Final

from nightsafe.bundle.approvals.approval import Approval
from nightsafe.store.bundles import StoredApproval
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.rows import HEAD
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef

_APPROVALS: Final = """
SELECT script_id, made_for, public, made_at, code, value_digest, signature FROM approvals
WHERE account_id = $1 AND script_id = $2
"""
_NEWEST: Final = f"{_APPROVALS} ORDER BY made_at DESC LIMIT $3"
_NEWEST_OF: Final = f"{_APPROVALS} AND key_id = ANY($4::text[]) ORDER BY made_at DESC LIMIT $3"
_OF_CODE: Final = f"{_APPROVALS} AND key_id = ANY($4::text[]) AND code = $5 ORDER BY made_at DESC LIMIT $3"


class ApprovalReads:
    """The part of `Store` that reads approvals."""

    _reader: Reader

    async def approvals(self, ref: ScriptRef, keys: Sequence[str] = (), limit: int = 100) -> list[StoredApproval]:
        """See `Store.approvals`."""
        if not keys:
            return await self._approvals(_NEWEST, ref, limit)
        return await self._approvals(_NEWEST_OF, ref, limit, [*keys])

    async def approvals_of(
        self, ref: ScriptRef, code: bytes, keys: Sequence[str], limit: int = 100
    ) -> list[StoredApproval]:
        """See `Store.approvals_of`."""
        return await self._approvals(_OF_CODE, ref, limit, [*keys], code)

    async def _approvals(self, query: str, ref: ScriptRef, *arguments: object) -> list[StoredApproval]:
        """Read approvals of a script."""
        head = await self._reader.one(HEAD, *key_of(ref))
        if head is None:
            return []
        return [_approval(*row) for row in await self._reader.all(query, ref.account_id, head[0], *arguments)]


def _approval(  # noqa: PLR0913, PLR0917 - the columns of a row
    script_id: str, made_for: bytes, public: bytes, made_at: int, code: bytes, values: bytes, signature: bytes
) -> StoredApproval:
    """Build an approval from its row."""
    approval = Approval(public=public, made_at=made_at, code=code, values=values, signature=signature)
    return StoredApproval(script_id, made_for, approval)
