"""The contexts in which a bundle's values were signed and sealed."""

from typing import Final, NamedTuple

from msgspec.structs import replace

from nightsafe.bindings.metadata import canonical_metadata
from nightsafe.bundle.compatibility import fields_of
from nightsafe.bundle.model import Bundle, BundleBinding, StoredSecret
from nightsafe.sealing.context import Context

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
