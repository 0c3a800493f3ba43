"""Checks for API tokens that expire soon. Without a renewal, their users are suddenly refused."""

import time
from collections.abc import Iterator
from typing import Final

from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.safe.database_copy import open_read_only

_SECOND: Final = 1_000_000
_DAY: Final = 24 * 60 * 60 * _SECOND
_SOON_DAYS: Final = 14
_ENDING: Final = """
SELECT name, id, expires_on FROM tokens
WHERE status = 'active' AND expires_on BETWEEN ? AND ? ORDER BY expires_on, id
"""


def tokens(safe: Examination) -> Iterator[Finding]:
    """Check that no token expires within two weeks or has expired in the last two weeks."""
    if not safe.is_there:
        return
    now = int(time.time() * _SECOND)
    with open_read_only(safe.directory.database) as db:
        ending = db.execute(_ENDING, (now - _SOON_DAYS * _DAY, now + _SOON_DAYS * _DAY)).fetchall()
    for name, token_id, expires_on in ending:
        days = abs(expires_on - now) // _DAY
        found = f"{name} ({token_id}) {'has expired' if expires_on < now else f'expires in {days} days'}"
        advice = "if it is still needed, create a new one: nightsafe token create"
        yield Finding(State.WARNING, "tokens", found, advice)
    if not ending:
        yield Finding(State.OK, "tokens", f"no token expires within {_SOON_DAYS} days")
