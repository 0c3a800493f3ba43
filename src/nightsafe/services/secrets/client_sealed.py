"""Checks values that a client sealed, as far as possible without opening them, before they are stored."""

from collections.abc import Callable
from typing import Final, TypeAlias

from nightsafe.bindings.client_sealed import ENCRYPTED, KEY_ID, SealedByClient
from nightsafe.bindings.json_fields import pointer_to
from nightsafe.bindings.parse import MAX_VALUE_BYTES
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.padding import padded_size
from nightsafe.sealing.record import SealedValue

MAX_PADDED: Final = padded_size(MAX_VALUE_BYTES + 1)
"""The padded size of the longest value, in bytes."""

Check: TypeAlias = Callable[[bytes], None]
"""Refuses a sealed value whose key accepts no new values."""


def check_client_value(check: Check, context: Context, value: SealedByClient) -> bytes:
    """Return the sealed value to store for a value that a client sealed.

    Raises:
        NightsafeError: INVALID or BINDING_TOO_LARGE, pointing at the member at fault, if the value cannot be parsed,
            is too long, or if its key is unknown, retired, or not the named one.
    """
    try:
        parsed = SealedValue.parse(value.sealed)
    except NightsafeError:
        raise value.refuse(ENCRYPTED, f"'{ENCRYPTED}' is not a sealed value of a known version and suite") from None
    if parsed.padded_size > MAX_PADDED:
        raise NightsafeError(Code.BINDING_TOO_LARGE, context.name, pointer_to(value.at, ENCRYPTED))
    if parsed.key_id != value.key_id:
        raise value.refuse(KEY_ID, f"'{KEY_ID}' is not the key that '{ENCRYPTED}' is sealed to: {parsed.key_id}")
    try:
        check(value.sealed)
    except NightsafeError as refused:
        raise value.refuse(KEY_ID, refused.problems[0].detail) from None
    return value.sealed
