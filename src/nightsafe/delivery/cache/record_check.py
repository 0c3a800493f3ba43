"""Checks the values of a bundle before it takes the place of a good one."""

from collections.abc import Iterator

from nightsafe.bundle.model import Bundle
from nightsafe.delivery.load.contexts import BoundRecord, record_of
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import Verifier


def check_new_records(bundle: Bundle, served: Bundle, verifier: Verifier) -> None:
    """Refuse a bundle with a value that no trusted key has signed and that the served bundle does not have.

    Values are checked again when they are opened. This check comes before the bundle takes the place of a good one.

    Args:
        bundle: the new bundle.
        served: the bundle of the same script that is served.
        verifier: verifies the records.

    Raises:
        NightsafeError: CANNOT_OPEN, with the name of the first such value.
    """
    known = {(found.name, found.record) for found in _records(served)}
    for found in _records(bundle):
        if (found.name, found.record) in known:
            continue
        try:
            verifier.verify(found.signed, found.record)
        except NightsafeError:
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the value of the binding {found.name!r} is not what was signed when it was put: somebody has"
                " changed the database; put the value again, or restore a backup, which also mends older versions",
            ) from None


def _records(bundle: Bundle) -> Iterator[BoundRecord]:
    """Yield every record of a bundle."""
    for version in bundle.versions:
        for binding in version.bindings:
            found = record_of(bundle, binding)
            if found is not None:
                yield found
