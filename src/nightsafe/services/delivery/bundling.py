"""Converts a stored version to the form of a bundle."""

import datetime as dt
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from nightsafe.bundle.model import BundleBinding, BundleModule, BundleVersion, StoredSecret
from nightsafe.services.scripts.modules import BODY_PART
from nightsafe.services.secrets_store.bound_secrets import KIND, SecretLocation, location_of_binding
from nightsafe.store.bundles import ServedVersion
from nightsafe.store.scripts import Binding

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def to_bundle_version(
    served: ServedVersion, stored: Mapping[SecretLocation, StoredSecret] = MappingProxyType({})
) -> BundleVersion:
    """Return a version in the form of a bundle.

    Args:
        served: the version.
        stored: the secrets of stores that its bindings refer to.
    """
    version = served.version
    settings: dict[str, Any] = msgspec.json.decode(version.settings)
    annotations: dict[str, Any] = msgspec.json.decode(version.annotations)
    return BundleVersion(
        id=str(uuid.UUID(bytes=version.id)),
        percentage=served.percentage,
        created_on=(_EPOCH + version.created_on * _MICROSECOND).isoformat().replace("+00:00", "Z"),
        tag=annotations.get("workers/tag", ""),
        main_module=version.main_module,
        classic=BODY_PART in settings,
        compatibility_date=settings.get("compatibility_date", ""),
        compatibility_flags=tuple(settings.get("compatibility_flags", ())),
        cpu_ms=_cpu_ms(settings),
        modules=tuple(BundleModule(module.name, module.content_type, module.digest) for module in served.modules),
        bindings=tuple(_to_bundle_binding(binding, stored) for binding in served.bindings),
    )


def _cpu_ms(settings: Mapping[str, Any]) -> int | None:
    """Return the CPU limit that a version sets, or None."""
    cpu_ms = settings.get("limits", {}).get("cpu_ms")
    return cpu_ms if isinstance(cpu_ms, int) and not isinstance(cpu_ms, bool) and cpu_ms > 0 else None


def _to_bundle_binding(binding: Binding, stored: Mapping[SecretLocation, StoredSecret]) -> BundleBinding:
    """Return a binding in the form of a bundle."""
    secret = stored.get(location_of_binding(binding)) if binding.kind == KIND else None
    return BundleBinding(binding.name, binding.kind, msgspec.Raw(binding.shown), binding.sealed, secret)
