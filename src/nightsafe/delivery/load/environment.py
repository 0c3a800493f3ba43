"""Fills a script's `env` with every binding and its opened value."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from nightsafe.bindings.metadata import key_metadata
from nightsafe.bundle.compatibility import IMPORTABLE_ENV, callee_of, fields_of
from nightsafe.bundle.model import Bundle, BundleBinding, BundleVersion
from nightsafe.delivery.load.contexts import record_of
from nightsafe.delivery.load.frame import Frame, Span
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import Opener

MAX_ENV_BYTES: Final = 1024 * 1024
"""The largest `env` that workerd accepts for a loaded script."""


class Environment:
    """Fills `env`.

    Args:
        frame: the load to put it into.
        bundle: names the place that each value was sealed for.
        version: the version with the bindings.
        files: contents of the version's modules, by name.
        opener: opens values.
    """

    def __init__(
        self,
        frame: Frame,
        bundle: Bundle,
        version: BundleVersion,
        files: Mapping[str, bytes],
        opener: Opener,
    ) -> None:
        self._frame = frame
        self._bundle = bundle
        self._version = version
        self._files = files
        self._opener = opener
        self._adders: dict[str, Callable[[BundleBinding, dict[str, Any]], None]] = {
            "data_blob": lambda binding, fields: frame.add_env(binding.name, "data", files[fields["part"]]),
            "json": lambda binding, fields: frame.add_env(binding.name, "json", msgspec.json.encode(fields["json"])),
            "plain_text": lambda binding, fields: frame.add_env(binding.name, "text", fields["text"].encode()),
            "secret_key": self._add_key,
            "secret_text": self._add_text,
            "secrets_store_secret": self._add_stored,
            "service": self._add_service,
            "text_blob": lambda binding, fields: frame.add_env(binding.name, "text", files[fields["part"]]),
            "version_metadata": self._add_metadata,
            "wasm_module": lambda *_: None,  # not a value in `env` but a module: see `modules.py`
        }

    def fill(self) -> None:
        """Add every binding.

        Raises:
            NightsafeError: CANNOT_OPEN, with the name of a binding whose value does not open; UNSUPPORTED, when the
                values are larger than workerd accepts.
        """
        before = len(self._frame.body)
        for binding in self._version.bindings:
            self._adders[binding.kind](binding, fields_of(binding))
        if len(self._frame.body) - before > MAX_ENV_BYTES:
            raise NightsafeError(Code.UNSUPPORTED, f"the bindings' values exceed {MAX_ENV_BYTES} bytes in total")

    def _add_text(self, binding: BundleBinding, _: dict[str, Any]) -> None:
        """Add a secret string."""
        self._frame.env.append({"name": binding.name, "kind": "text", "place": self._open(binding)})

    def _add_key(self, binding: BundleBinding, fields: dict[str, Any]) -> None:
        """Add a secret key. Its raw form is removed before the script runs."""
        self._frame.keys.append({"name": binding.name, **key_metadata(fields), "place": self._open(binding)})

    def _add_stored(self, binding: BundleBinding, fields: dict[str, Any]) -> None:
        """Add a secret of a store, whose value the script gets with `get`. If it is missing, `get` says so."""
        item: dict[str, Any] = {"name": binding.name, "secret": str(fields.get("secret_name"))}
        if binding.stored is not None:
            item["place"] = self._open(binding)
        if IMPORTABLE_ENV in self._version.compatibility_flags and not self._version.classic:
            self._frame.env.append(item | {"kind": "stored"})  # out of the shim's reach
        else:
            self._frame.stored.append(item)

    def _add_service(self, binding: BundleBinding, fields: dict[str, Any]) -> None:
        """Add a binding to another script."""
        target = {
            "script": callee_of(fields),
            "entrypoint": fields.get("entrypoint") or None,
            "props": fields.get("props"),
        }
        self._frame.env.append({"name": binding.name, "kind": "service", **target})

    def _add_metadata(self, binding: BundleBinding, _: dict[str, Any]) -> None:
        """Add the metadata of the version."""
        metadata = {"id": self._version.id, "tag": self._version.tag, "timestamp": self._version.created_on}
        self._frame.add_env(binding.name, "json", msgspec.json.encode(metadata))

    def _open(self, binding: BundleBinding) -> Span:
        """Open a binding's value, put it into the body, and return its place there.

        Raises:
            NightsafeError: CANNOT_OPEN, with the binding's name.
        """
        found = record_of(self._bundle, binding)
        assert found is not None  # noqa: S101 - called for bindings with a value only
        try:
            opened = self._opener.open_named(found.signed, found.sealed, found.record)
        except NightsafeError:
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the value of {binding.name!r} cannot be opened: somebody has changed the database, or the private"
                " ring lacks its key; put it again, or restore a backup or the ring",
            ) from None
        try:
            return self._frame.append(opened.reveal())
        finally:
            opened.wipe()
