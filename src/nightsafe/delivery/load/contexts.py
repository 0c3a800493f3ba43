"""The contexts in which a bundle's values were signed and sealed."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from nightsafe.bindings.metadata import canonical_metadata
from nightsafe.bundle.compatibility import fields_of
from nightsafe.bundle.model import Bundle, BundleBinding, StoredSecret
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Verifier

STORE_NAMESPACE: Final = "store:"
"""The namespace in the context of a secret of a Secrets Store; its script is the store's id."""


class BoundRecord(NamedTuple):
    """The stored record of a value with its place.

    Attributes:
        name: the name of the binding.
        signed: the context that was signed.
        sealed: the context that the value was sealed to.
        record: the record; b"" for a binding that lacks the record that it must have.
    """

    name: str
    signed: Context
    sealed: Context
    record: bytes


def record_of(bundle: Bundle, binding: BundleBinding) -> BoundRecord | None:
    """Return the record of a binding, or None for a binding without a value."""
    if binding.kind == "secrets_store_secret":
        return None if binding.stored is None else _stored_record(bundle, binding.name, binding.stored)
    if binding.kind not in {"secret_text", "secret_key"}:
        return None
    public = canonical_metadata(fields_of(binding)) if binding.kind == "secret_key" else b""
    context = Context(
        account_id=bundle.account_id,
        namespace=bundle.namespace,
        script=bundle.script,
        name=binding.name,
        kind=binding.kind,
        public=public,
    )
    return BoundRecord(binding.name, context, context, binding.record or b"")


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


def _stored_record(bundle: Bundle, name: str, secret: StoredSecret) -> BoundRecord:
    """Return the record of a Secrets Store's secret, which may have been renamed since it was sealed."""
    signed = Context(
        account_id=bundle.account_id,
        namespace=STORE_NAMESPACE,
        script=secret.store_id,
        name=secret.name,
        kind="secret_text",
    )
    return BoundRecord(name, signed, replace(signed, name=secret.sealed_name), secret.record)


def _records(bundle: Bundle) -> Iterator[BoundRecord]:
    """Yield every record of a bundle."""
    for version in bundle.versions:
        for binding in version.bindings:
            found = record_of(bundle, binding)
            if found is not None:
                yield found
