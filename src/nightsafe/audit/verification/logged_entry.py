"""An entry of the log as a verification reads it."""

import msgspec
from msgspec import Struct

from nightsafe.audit.verification.difference import DifferenceError
from nightsafe.store.log.written import Written


class LoggedEntry(Struct, frozen=True):
    """The members of an entry that a verification uses. The other members are described in `AuditEvent`."""

    at: int
    action: str
    account_id: str
    resource: str = ""
    namespace: str = ""
    script: str = ""
    version_id: str = ""
    written: Written | None = None

    @property
    def where(self) -> str:
        """The entry's action and the resource that it acted on, in words."""
        script = f"{self.namespace}/{self.script}" if self.namespace else self.script
        target = f" on the script {script!r}" if script else f" on {self.resource!r}" if self.resource else ""
        return f"{self.action}{target} in the account {self.account_id}" if self.account_id else self.action + target


_decoder = msgspec.json.Decoder(LoggedEntry)


def read_entry(index: int, data: bytes) -> LoggedEntry:
    """Return an entry.

    Raises:
        DifferenceError: when the bytes are not an entry of this program.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise DifferenceError(
            f"entry {index} of the log is not an entry that this program writes", entry=index
        ) from None
