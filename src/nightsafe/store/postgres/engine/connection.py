"""Opens connections to the primary, all with the same settings."""

from typing import Final

import asyncpg

_SECONDS: Final = 2.0
"""How long to wait for each host."""

_SETTINGS: Final = {"application_name": "nightsafe", "default_transaction_isolation": "read committed"}


async def connect(address: str) -> asyncpg.Connection:
    """Open a connection to the primary.

    Args:
        address: a URL `postgresql://…` of one host or several.

    Raises:
        OSError, asyncpg.PostgresError: when no host is a primary that answers.
    """
    return await asyncpg.connect(
        address, timeout=_SECONDS, server_settings=_SETTINGS, target_session_attrs="read-write"
    )
