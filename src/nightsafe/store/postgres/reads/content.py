"""The reads of the contents of scripts' files, in SQL. Large contents are read part by part."""

from typing import Final

from nightsafe.store.built_rows import files_of
from nightsafe.store.bundles import StoredFile
from nightsafe.store.postgres.engine.reader import Reader
from nightsafe.store.postgres.reads.rows import HEAD
from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef

_FILES: Final = """
SELECT m.name, m.content_type, m.digest, length(c.body)
FROM versions v
JOIN uploads u ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
JOIN modules m ON m.account_id = u.account_id AND m.script_id = u.script_id AND m.version = u.code_version
LEFT JOIN contents c ON c.account_id = m.account_id AND c.digest = m.digest
WHERE v.account_id = $1 AND v.script_id = $2 AND v.number = $3
ORDER BY m.position
"""
_CONTENT: Final = "SELECT body FROM contents WHERE account_id = $1 AND digest = $2"
_SIZE: Final = "SELECT length(body) FROM contents WHERE account_id = $1 AND digest = $2"
_PART: Final = """
SELECT substring(body from $3::int for $4::int) FROM contents WHERE account_id = $1 AND digest = $2
"""


class ContentReads:
    """The part of `Store` that reads files and their contents."""

    _reader: Reader

    async def files(self, ref: ScriptRef, version: int | None = None) -> list[StoredFile]:
        """See `Store.files`."""
        head = await self._reader.one(HEAD, *key_of(ref))
        if head is None:
            return []
        number = head[1] if version is None else version
        rows = await self._reader.all(_FILES, ref.account_id, head[0], number)
        return files_of(ref, rows)

    async def content(self, account_id: str, digest: bytes) -> bytes | None:
        """See `Store.content`."""
        row = await self._reader.one(_CONTENT, account_id, digest)
        return None if row is None else row[0]

    async def content_size(self, account_id: str, digest: bytes) -> int | None:
        """See `Store.content_size`."""
        row = await self._reader.one(_SIZE, account_id, digest)
        return None if row is None else int(row[0])

    async def content_part(self, account_id: str, digest: bytes, start: int, size: int) -> bytes | None:
        """See `Store.content_part`."""
        row = await self._reader.one(_PART, account_id, digest, start + 1, size)
        return None if row is None else row[0]
