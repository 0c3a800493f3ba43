"""Makes the manifest of a version in a bundle."""

from hashlib import sha256
from typing import Final

import msgspec

from nightsafe.bundle.approvals.manifest import Manifest, ManifestBinding, ManifestModule
from nightsafe.bundle.model import BundleBinding, BundleVersion
from nightsafe.bundle.statements import ScriptIdentity
from nightsafe.sealing.proven_record import PROVEN_MAGIC, ProvenRecord
from nightsafe.sealing.record import Record

_STORED: Final = "secrets_store_secret"


def manifest_of(script: ScriptIdentity, version: BundleVersion) -> Manifest:
    """Return the manifest of a version in a bundle.

    Raises:
        NightsafeError: CANNOT_OPEN, when a record has a wrong layout.
        ValueError: when a part is not text, or a binding of a Secrets Store is not a JSON object.
    """
    return Manifest(
        account_id=script.account_id,
        namespace=script.namespace,
        script=script.name,
        script_id=script.id,
        version=version.id,
        number=version.number,
        main_module=version.main_module,
        modules=tuple(ManifestModule(one.name, one.content_type, one.digest) for one in version.modules),
        settings=bytes(version.settings).decode(),
        bindings=tuple(map(_manifest_binding, version.bindings)),
    )


def _manifest_binding(binding: BundleBinding) -> ManifestBinding:
    """Return a binding in the form of a manifest.

    The seal of a store's secret covers the store and the sealed name, and the API chooses both. So both are signed:
    else the API could give approved code the value of any other secret. A secret that does not exist yet counts as
    one with its own name.
    """
    shown = bytes(binding.shown).decode()
    store_id = sealed_name = ""
    if binding.kind == _STORED:
        fields = msgspec.json.decode(shown, type=dict[str, object])
        store_id, sealed_name = str(fields.get("store_id")), str(fields.get("secret_name"))
    record = binding.record
    if binding.stored is not None:
        store_id, sealed_name, record = binding.stored.store_id, binding.stored.sealed_name, binding.stored.record
    return ManifestBinding(
        name=binding.name,
        kind=binding.kind,
        shown=shown,
        store_id=store_id,
        sealed_name=sealed_name,
        value=b"" if record is None else sha256(_sealed_in(record)).digest(),
    )


def _sealed_in(record: bytes) -> bytes:
    """Return the sealed value in a stored record of either form."""
    return (ProvenRecord if record.startswith(PROVEN_MAGIC) else Record).parse(record).sealed
