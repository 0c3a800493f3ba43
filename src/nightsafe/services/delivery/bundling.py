"""Converts a stored version to the form of a bundle."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from nightsafe.bundle.fields import version_fields
from nightsafe.bundle.model import BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.services.secrets_store.bound_secrets import KIND, SecretLocation, location_of_binding
from nightsafe.store.bundles import ServedBinding, ServedVersion


def to_bundle_version(
    served: ServedVersion, stored: Mapping[SecretLocation, StoredSecret] = MappingProxyType({})
) -> BundleVersion:
    """Return a version in the form of a bundle.

    Args:
        served: the version.
        stored: the secrets of stores that its bindings refer to.
    """
    version = served.version
    fields = version_fields(version.settings, version.annotations, version.created_on)
    return BundleVersion(
        id=str(uuid.UUID(bytes=version.id)),
        percentage=served.percentage,
        main_module=version.main_module,
        modules=tuple(BundleModule(module.name, module.content_type, module.digest) for module in served.modules),
        bindings=tuple(_to_bundle_binding(binding, stored) for binding in served.bindings),
        number=version.number,
        made_at=version.created_on,
        settings=msgspec.Raw(version.settings),
        annotations=msgspec.Raw(version.annotations),
        proof=served.proof,
        **fields,
    )


def _to_bundle_binding(binding: ServedBinding, stored: Mapping[SecretLocation, StoredSecret]) -> BundleBinding:
    """Return a binding in the form of a bundle."""
    secret = stored.get(location_of_binding(binding)) if binding.kind == KIND else None
    return BundleBinding(
        binding.name, binding.kind, msgspec.Raw(binding.shown), binding.record, secret, binding.since
    )
