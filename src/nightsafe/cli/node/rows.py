"""The nodes of a safe, as its file of verify keys lists them."""

from typing import Any

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


def node_rows(directory: DataDirectory) -> list[dict[str, Any]]:
    """Return the nodes of a safe, for JSON.

    Raises:
        NightsafeError: INVALID, if a key file cannot be used.
    """
    own = SigningKey.load(directory.signing_key).id
    return [
        {"name": key.name, "id": key.id, "until": key.until, "here": key.id == own}
        for key in VerifyKeys.load(directory.verify_keys).keys
    ]
