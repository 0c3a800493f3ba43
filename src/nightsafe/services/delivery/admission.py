"""Checks whether an upload, a change of settings or a deployment can be delivered, before it is committed.

If scripts are delivered, a version that cannot be served is refused with the reason, so that it does not replace one
that can. If nothing delivers scripts, every version is stored. Bindings to missing targets are refused in both cases.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.bindings.model import PlainBinding, Secret
from nightsafe.bundle.compatibility import problems_of
from nightsafe.bundle.fields import BODY_PART
from nightsafe.bundle.model import BundleBinding, BundleModule, BundleVersion
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.delivery.bundling import to_bundle_version
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.modules import Source
from nightsafe.services.secrets_store.bound_secrets import KIND, BoundSecrets, location_of_binding
from nightsafe.store.interface import Store
from nightsafe.store.references import RequiredScript
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.turns import turn

_DEFAULT_ENVIRONMENTS: Final = frozenset({None, "", "production"})
_SERVICE: Final = "service"
_MODULE_TYPES: Final = frozenset({"application/javascript+module", "text/javascript+module"})
_EXPORT: Final = b"export"
_PART: Final = 1 << 20
_NO_VERSION: Final = BundleVersion(id="", percentage=100.0, created_on="", main_module="", modules=())
_ACCEPT_OPTION: Final = "--accept-undeliverable"


class DeliveryOptions(Struct, frozen=True):
    """The operator's delivery options.

    Attributes:
        always: treat the scripts of this safe as delivered. Otherwise the scripts of an account count as delivered
            while a delivery process follows the account.
        accept: store versions that cannot be served, and continue to serve the previous one.
        domain: the domain at which Workers are reached with TLS, such as `workers.example`, or "" if not known.
    """

    always: bool = False
    accept: bool = False
    domain: str = ""


class Admission:
    """Checks versions before they are made or deployed.

    Args:
        store: holds the targets of bindings.
        change_feed: knows which accounts a delivery process follows.
        code_checks: has the runtime load code.
        delivery_options: the operator's delivery options.
    """

    def __init__(
        self, store: Store, change_feed: ChangeFeed, code_checks: CodeChecks, delivery_options: DeliveryOptions
    ) -> None:
        self._store: Final = store
        self._change_feed: Final = change_feed
        self._code_checks: Final = code_checks
        self._delivery_options: Final = delivery_options
        self._bound_secrets: Final = BoundSecrets(store)

    async def check_targets(self, ref: ScriptRef, bindings: Iterable[PlainBinding]) -> None:
        """Refuse bindings to missing scripts and missing stored secrets. A script may be bound to itself.

        A target script must also exist at the commit: see `required_scripts`. A stored secret that is
        deleted at the same time may be missed; it could just as well be deleted right after the commit.

        Raises:
            NightsafeError: SERVICE_UNBOUND, SERVICE_ENVIRONMENT or STORED_SECRET_UNBOUND, with a problem for each
                binding.
        """
        targeting = [binding for binding in bindings if binding.kind in {_SERVICE, KIND}]
        problems = [
            problem
            for binding in targeting
            if binding.kind == _SERVICE and (problem := await self._service_problem(ref, binding)) is not None
        ]
        problems += await self._stored_secret_problems(
            ref, [binding for binding in targeting if binding.kind == KIND]
        )
        if problems:
            raise NightsafeError.of(problems)

    async def check_upload(  # noqa: PLR0913 - an upload has many parts
        self,
        ref: ScriptRef,
        source: Source,
        *,
        settings: bytes,
        new_bindings: Iterable[PlainBinding | Secret],
        keep: frozenset[str] = frozenset(),
        inherits: Iterable[Inherit] = (),
    ) -> Notices:
        """Refuse an upload that cannot be served, or return notices of the reasons.

        Args:
            ref: the script.
            source: the code.
            settings: JSON object of the versioned settings.
            new_bindings: the bindings in the upload.
            keep: the types of bindings to keep from the previous version.
            inherits: bindings to inherit.

        Raises:
            NightsafeError: UNSUPPORTED or INVALID, with a problem for each binding, module or flag.
        """
        if not self._is_delivered(ref):
            return ()
        await _check_handler(source)
        own = [_to_bundle_binding(binding) for binding in new_bindings]
        previous = await self._previous_bindings(ref, keep, tuple(inherits), {binding.name for binding in own})
        return await self._check_version_and_code(
            ref, source, _bundle_version(source, msgspec.json.decode(settings), (*own, *previous))
        )

    async def check_content(self, ref: ScriptRef, source: Source) -> Notices:
        """Check new code that keeps the settings and bindings of the newest version, like `check_upload`.

        Raises:
            NightsafeError: like `check_upload`.
        """
        if not self._is_delivered(ref):
            return ()
        await _check_handler(source)
        newest = await self._store.full_version(ref)
        if newest is None:
            return ()
        before = to_bundle_version(newest)
        settings = {
            "compatibility_flags": before.compatibility_flags,
            "compatibility_date": before.compatibility_date,
        }
        return await self._check_version_and_code(ref, source, _bundle_version(source, settings, before.bindings))

    async def check_settings(
        self,
        ref: ScriptRef,
        *,
        version_level: bytes | None,
        new_bindings: Iterable[PlainBinding | Secret] | None,
        keep: frozenset[str] = frozenset(),
        inherits: Iterable[Inherit] = (),
    ) -> Notices:
        """Check a change of settings, like `check_upload`, but refuse it only for new problems.

        Args:
            ref: the script.
            version_level: JSON object to merge over the versioned settings, or None.
            new_bindings: bindings to make, or None to leave all bindings unchanged.
            keep: the types of current bindings to keep, if `new_bindings` is given.
            inherits: bindings to inherit, if `new_bindings` is given.

        Raises:
            NightsafeError: like `check_upload`.
        """
        newest = await self._store.full_version(ref) if self._is_delivered(ref) else None
        if newest is None:
            return ()
        before = to_bundle_version(newest)
        after = _with_settings(before, {} if version_level is None else msgspec.json.decode(version_level))
        if new_bindings is not None:
            own = [_to_bundle_binding(binding) for binding in new_bindings]
            after = replace(
                after,
                bindings=(
                    *own,
                    *_kept_or_inherited(before.bindings, keep, tuple(inherits), {binding.name for binding in own}),
                ),
            )
        return self._check_version(after, {problem.detail for problem in problems_of(before)})

    async def check_deployment(self, ref: ScriptRef, version_ids: Iterable[bytes]) -> Notices:
        """Check existing versions before they are deployed, like `check_upload`. Ignore versions that do not exist.

        Raises:
            NightsafeError: like `check_upload`.
        """
        notices: dict[Problem, None] = {}
        if self._is_delivered(ref):
            for version_id in version_ids:
                version = await self._store.full_version(ref, version_id)
                if version is not None:
                    notices |= dict.fromkeys(self._check_version(to_bundle_version(version)))
        return tuple(notices)

    async def notices_for_newest(self, ref: ScriptRef) -> Notices:
        """Return notices about a script's newest version.

        Not every version comes from an upload: setting a secret makes one, too.
        """
        newest = await self._store.full_version(ref) if self._is_delivered(ref) else None
        return () if newest is None else tuple(map(_as_notice, problems_of(to_bundle_version(newest))))

    def _is_delivered(self, ref: ScriptRef) -> bool:
        """Return whether a script is delivered. Scripts in a dispatch namespace are only stored."""
        if ref.namespace:
            return False
        return self._delivery_options.always or self._change_feed.is_followed(ref.account_id)

    async def _check_version_and_code(self, ref: ScriptRef, source: Source, version: BundleVersion) -> Notices:
        """Judge a version like `_check_version`, then have the runtime load its code if it can be served.

        Raises:
            NightsafeError: INVALID, with the runtime's message, if the runtime cannot load it.
        """
        notices = self._check_version(version)
        if notices:
            return notices
        problem = await self._code_checks.problem_of(ref.account_id, source, version)
        if problem:
            raise NightsafeError(Code.INVALID, f"the runtime cannot load the script: {problem}")
        return ()

    def _check_version(self, version: BundleVersion, ignored: frozenset[str] | set[str] = frozenset()) -> Notices:
        """Refuse a version that cannot be served, or return notices of the reasons.

        Args:
            version: the version.
            ignored: details of problems that existed before; they do not lead to a refusal.

        Raises:
            NightsafeError: for new problems, unless the operator accepts versions that cannot be served.
        """
        problems = tuple(problems_of(version))
        new_problems = [problem for problem in problems if problem.detail not in ignored]
        if new_problems and not self._delivery_options.accept:
            raise NightsafeError.of(map(_as_refusal, new_problems))
        return tuple(map(_as_notice, problems))

    async def _previous_bindings(
        self, ref: ScriptRef, keep: frozenset[str], inherits: Sequence[Inherit], own: set[str]
    ) -> list[BundleBinding]:
        """Return the bindings of the previous version that an upload keeps or inherits.

        The store is read only if the upload keeps or inherits any.
        """
        newest = await self._store.full_version(ref) if keep or inherits else None
        if newest is None:
            return []
        return _kept_or_inherited(to_bundle_version(newest).bindings, keep, inherits, own)

    async def _service_problem(self, ref: ScriptRef, binding: PlainBinding) -> Problem | None:
        """Return the problem with a service binding, or None."""
        service, environment = binding.fields.get("service"), binding.fields.get("environment")
        if not isinstance(service, str) or binding.fields.get("cross_account_grant"):
            return None
        if environment not in _DEFAULT_ENVIRONMENTS:
            detail = (
                f"'{binding.name}' references the environment '{environment}' of Worker '{service}' which was not"
                " found: each Worker has one environment here, 'production'; name the Worker itself"
            )
            return Problem(Code.SERVICE_ENVIRONMENT, detail, "/bindings")
        need = next(iter(required_scripts(ref, [binding])), None)
        return None if need is None or await self._store.script(need.script) is not None else need.problem

    async def _stored_secret_problems(self, ref: ScriptRef, bindings: Sequence[PlainBinding]) -> list[Problem]:
        """Return the problems with bindings to secrets of stores."""
        located = [
            (location_of_binding(Binding(binding.name, binding.kind, binding.public_json())), binding)
            for binding in bindings
        ]
        existing = (
            await self._bound_secrets.existing(ref.account_id, {location for location, _ in located})
            if located
            else set()
        )
        return [
            Problem(
                Code.STORED_SECRET_UNBOUND,
                f"'{binding.name}' references store '{binding.fields.get('store_id')}' and secret"
                f" '{binding.fields.get('secret_name')}' which were not found: create the secret first",
                "/bindings",
            )
            for location, binding in located
            if location not in existing
        ]


def required_scripts(ref: ScriptRef, bindings: Iterable[PlainBinding]) -> tuple[RequiredScript, ...]:
    """Return the scripts that must exist for a script to have these bindings. A script may be bound to itself."""
    needs = []
    for binding in bindings:
        service = binding.fields.get("service")
        if binding.kind != _SERVICE or not isinstance(service, str) or binding.fields.get("cross_account_grant"):
            continue
        if service != ref.name:
            detail = f"'{binding.name}' references Worker '{service}' which was not found: deploy that one first"
            target = ScriptRef(ref.account_id, service)
            needs.append(RequiredScript(target, Problem(Code.SERVICE_UNBOUND, detail, "/bindings")))
    return tuple(needs)


async def _check_handler(source: Source) -> None:
    """Refuse an ES module upload whose main module exports nothing, because it cannot have an event handler.

    Raises:
        NightsafeError: INVALID.
    """
    main = next(module for module in source.modules if module.name == source.main_module)
    if (
        not source.classic
        and _media_type(main.content_type) in _MODULE_TYPES
        and not await _contains(main.body, _EXPORT)
    ):
        sentence = f"the main module '{main.name}' exports no event handler: it contains no 'export'"
        raise NightsafeError(Code.INVALID, sentence, "/main_module")


async def _contains(body: bytes, text: bytes) -> bool:
    """Return whether a file contains some bytes. Search in parts, because a file may have tens of megabytes."""
    for start in range(0, len(body), _PART):
        if body.find(text, start, start + _PART + len(text) - 1) >= 0:
            return True
        await turn()
    return False


def _media_type(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _bundle_version(source: Source, settings: Mapping[str, Any], bindings: Iterable[BundleBinding]) -> BundleVersion:
    """Return an upload as a bundle's version, with the fields that decide whether it can be served."""
    return replace(
        _with_settings(_NO_VERSION, settings),
        main_module=source.main_module,
        classic=source.classic or BODY_PART in settings,
        modules=tuple(BundleModule(module.name, module.content_type, module.digest) for module in source.modules),
        bindings=tuple(bindings),
    )


def _with_settings(version: BundleVersion, settings: Mapping[str, Any]) -> BundleVersion:
    """Return a version with changed settings; null resets a setting."""
    flags, date = "compatibility_flags", "compatibility_date"
    return replace(
        version,
        compatibility_flags=tuple(settings[flags] or ()) if flags in settings else version.compatibility_flags,
        compatibility_date=(settings[date] or "") if date in settings else version.compatibility_date,
    )


def _to_bundle_binding(binding: PlainBinding | Secret) -> BundleBinding:
    """Return a binding in the form of a bundle, without its value."""
    return BundleBinding(
        binding.name,
        binding.kind,
        msgspec.Raw(binding.public_json()),
        None if isinstance(binding, PlainBinding) else b"",
    )


def _kept_or_inherited(
    before: Sequence[BundleBinding], keep: frozenset[str], inherits: Sequence[Inherit], own: set[str]
) -> list[BundleBinding]:
    """Return the bindings of the previous version that stay, by their type or because they are inherited."""
    kept = {binding.name: binding for binding in before if binding.kind in keep}
    kept |= {binding.name: binding for binding in _inherited(before, inherits)}
    return [binding for name, binding in kept.items() if name not in own]


def _inherited(before: Iterable[BundleBinding], inherits: Sequence[Inherit]) -> list[BundleBinding]:
    """Return the inherited bindings under their new names."""
    by_name = {binding.name: binding for binding in before}
    return [
        replace(by_name[inherit.old_name], name=inherit.name) for inherit in inherits if inherit.old_name in by_name
    ]


def _as_refusal(problem: Problem) -> Problem:
    """Return a reason not to serve a version, in the wording of a refusal."""
    if problem.code is not Code.UNSUPPORTED:
        return problem
    detail = (
        f"serve this version, so nothing was changed: {problem.detail}. Remove that, or run Nightsafe with"
        f" {_ACCEPT_OPTION} to store versions that cannot be served"
    )
    return Problem(problem.code, detail, problem.pointer)


def _as_notice(problem: Problem) -> Problem:
    """Return a reason not to serve a version, in the wording of a notice beside a success."""
    sentence = "it continues to serve the last version that can be served"
    return Problem(Code.UNSUPPORTED, f"serve this version: {problem.detail}; {sentence}", problem.pointer)
