"""What is let in of an upload, a change of settings or a deployment, given how it will be delivered.

Where scripts are delivered, a version that cannot be served is refused by name, before it replaces one that is. Where
nothing delivers, everything is kept. Bindings to what is not there are refused in either case.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.bindings.model import PlainBinding, Secret
from nightsafe.bundle.compatibility import problems_of
from nightsafe.bundle.model import BundleBinding, BundleModule, BundleVersion
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.services.delivery.bundling import bundled
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.notices import Notices
from nightsafe.services.scripts.modules import BODY_PART, Source
from nightsafe.services.secrets_store.bound_secrets import KIND, BoundSecrets, place_of_binding
from nightsafe.store.interface import Store
from nightsafe.store.references import Need
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.turns import turn

_DEFAULT_ENVIRONMENTS: Final = frozenset({None, "", "production"})
_SERVICE: Final = "service"
_MODULE_TYPES: Final = frozenset({"application/javascript+module", "text/javascript+module"})
_EXPORT: Final = b"export"
_PART: Final = 1 << 20
_NO_VERSION: Final = BundleVersion(id="", percentage=100.0, created_on="", main_module="", modules=())
_ACCEPT: Final = "--accept-undeliverable"


class Delivered(Struct, frozen=True):
    """How what comes in is delivered.

    Attributes:
        always: the operator says that the scripts of this safe are delivered. Otherwise those of an account are while
            a delivery process follows it.
        accept: keep what cannot be served, and serve what was served before.
        domain: where Workers are reached with TLS, as `workers.example`, or "" when that is not known.
    """

    always: bool = False
    accept: bool = False
    domain: str = ""


class Admission:
    """Looks at versions before they are made or deployed.

    Args:
        store: where what they are bound to is.
        change_feed: who delivers.
        code_checks: has code loaded by the runtime.
        delivered: what the operator says about that.
    """

    def __init__(self, store: Store, change_feed: ChangeFeed, code_checks: CodeChecks, delivered: Delivered) -> None:
        self._store: Final = store
        self._change_feed: Final = change_feed
        self._code_checks: Final = code_checks
        self._delivered: Final = delivered
        self._bound: Final = BoundSecrets(store)

    async def check_targets(self, ref: ScriptRef, bindings: Iterable[PlainBinding]) -> None:
        """Refuse bindings to scripts and stored secrets that are not there. A script may be bound to itself.

        A script must also be there when the change is made: see `needs_of`. A stored secret that is deleted at the
        same time may slip in: nothing keeps anyone from deleting it just after.

        Raises:
            NightsafeError: SERVICE_UNBOUND, SERVICE_ENVIRONMENT, STORED_SECRET_UNBOUND: a problem for each binding.
        """
        every = [one for one in bindings if one.kind in {_SERVICE, KIND}]
        problems = [
            problem
            for one in every
            if one.kind == _SERVICE and (problem := await self._problem_of_service(ref, one)) is not None
        ]
        problems += await self._problems_of_stored(ref, [one for one in every if one.kind == KIND])
        if problems:
            raise NightsafeError.of(problems)

    async def upload(  # noqa: PLR0913 - an upload has many sides
        self,
        ref: ScriptRef,
        source: Source,
        *,
        settings: bytes,
        made: Iterable[PlainBinding | Secret],
        keep: frozenset[str] = frozenset(),
        inherits: Iterable[Inherit] = (),
    ) -> Notices:
        """Refuse an upload that cannot be served, or say what of it is not.

        Args:
            ref: which script.
            source: the code.
            settings: JSON object of the versioned settings.
            made: bindings that it brings.
            keep: kinds of which the bindings of the version before stay.
            inherits: bindings to take over.

        Raises:
            NightsafeError: UNSUPPORTED or INVALID, a problem for each binding, module or flag.
        """
        if not self._is_delivered(ref):
            return ()
        await _check_handler(source)
        own = [_as_bundled(one) for one in made]
        taken = await self._taken_over(ref, keep, tuple(inherits), {one.name for one in own})
        return await self._judge_code(ref, source, _version(source, msgspec.json.decode(settings), (*own, *taken)))

    async def content(self, ref: ScriptRef, source: Source) -> Notices:
        """The same of new code alone: settings and bindings are those of the newest version."""
        if not self._is_delivered(ref):
            return ()
        await _check_handler(source)
        newest = await self._store.made_of(ref)
        if newest is None:
            return ()
        before = bundled(newest)
        settings = {
            "compatibility_flags": before.compatibility_flags,
            "compatibility_date": before.compatibility_date,
        }
        return await self._judge_code(ref, source, _version(source, settings, before.bindings))

    async def settings(
        self,
        ref: ScriptRef,
        *,
        versioned: bytes | None,
        made: Iterable[PlainBinding | Secret] | None,
        keep: frozenset[str] = frozenset(),
        inherits: Iterable[Inherit] = (),
    ) -> Notices:
        """The same of a change of settings, which is refused only for what it makes worse.

        Args:
            ref: which script.
            versioned: JSON object to merge over the versioned settings, or None.
            made: bindings to make, or None to leave all.
            keep: kinds of which those there are stay, when others are made.
            inherits: bindings to take over, when others are made.
        """
        newest = await self._store.made_of(ref) if self._is_delivered(ref) else None
        if newest is None:
            return ()
        before = bundled(newest)
        after = _patched(before, {} if versioned is None else msgspec.json.decode(versioned))
        if made is not None:
            own = [_as_bundled(one) for one in made]
            after = replace(
                after, bindings=(*own, *_taken(before.bindings, keep, tuple(inherits), {one.name for one in own}))
            )
        return self._judge(after, {problem.detail for problem in problems_of(before)})

    async def deployment(self, ref: ScriptRef, version_ids: Iterable[bytes]) -> Notices:
        """The same of versions that are there and are to be deployed; one that is not there is no matter of this."""
        notices: dict[Problem, None] = {}
        if self._is_delivered(ref):
            for version_id in version_ids:
                made = await self._store.made_of(ref, version_id)
                if made is not None:
                    notices |= dict.fromkeys(self._judge(bundled(made)))
        return tuple(notices)

    async def newest(self, ref: ScriptRef) -> Notices:
        """What is to be said of a script's newest version, which others than uploads may have made: by a secret."""
        made = await self._store.made_of(ref) if self._is_delivered(ref) else None
        return () if made is None else tuple(map(_accepted, problems_of(bundled(made))))

    def _is_delivered(self, ref: ScriptRef) -> bool:
        """Whether a script is delivered. One in a dispatch namespace is only kept."""
        if ref.namespace:
            return False
        return self._delivered.always or self._change_feed.is_followed(ref.account_id)

    async def _judge_code(self, ref: ScriptRef, source: Source, version: BundleVersion) -> Notices:
        """The same, and have the runtime load what it would serve.

        Raises:
            NightsafeError: INVALID, with the runtime's words, for what it cannot load.
        """
        notices = self._judge(version)
        if notices:
            return notices
        problem = await self._code_checks.problem_of(ref.account_id, source, version)
        if problem:
            raise NightsafeError(Code.INVALID, f"the runtime cannot load the script: {problem}")
        return ()

    def _judge(self, version: BundleVersion, known: frozenset[str] | set[str] = frozenset()) -> Notices:
        """Refuse a version that cannot be served for other reasons than the known ones; else say what is not."""
        problems = tuple(problems_of(version))
        fresh = [problem for problem in problems if problem.detail not in known]
        if fresh and not self._delivered.accept:
            raise NightsafeError.of(map(_refused, fresh))
        return tuple(map(_accepted, problems))

    async def _taken_over(
        self, ref: ScriptRef, keep: frozenset[str], inherits: Sequence[Inherit], own: set[str]
    ) -> list[BundleBinding]:
        """The bindings of the version before that an upload has too; a look at the store only if it may have any."""
        newest = await self._store.made_of(ref) if keep or inherits else None
        if newest is None:
            return []
        return _taken(bundled(newest).bindings, keep, inherits, own)

    async def _problem_of_service(self, ref: ScriptRef, binding: PlainBinding) -> Problem | None:
        """What is wrong with a service binding, if anything."""
        service, environment = binding.fields.get("service"), binding.fields.get("environment")
        if not isinstance(service, str) or binding.fields.get("cross_account_grant"):
            return None
        if environment not in _DEFAULT_ENVIRONMENTS:
            detail = (
                f"'{binding.name}' references the environment '{environment}' of Worker '{service}' which was not"
                " found: each Worker has one environment here, 'production'; name the Worker itself"
            )
            return Problem(Code.SERVICE_ENVIRONMENT, detail, "/bindings")
        need = next(iter(needs_of(ref, [binding])), None)
        return None if need is None or await self._store.script(need.script) is not None else need.problem

    async def _problems_of_stored(self, ref: ScriptRef, bindings: Sequence[PlainBinding]) -> list[Problem]:
        """What is wrong with bindings to secrets of stores."""
        placed = [(place_of_binding(Binding(one.name, one.kind, one.shown())), one) for one in bindings]
        there = await self._bound.present(ref.account_id, {place for place, _ in placed}) if placed else set()
        return [
            Problem(
                Code.STORED_SECRET_UNBOUND,
                f"'{one.name}' references store '{one.fields.get('store_id')}' and secret"
                f" '{one.fields.get('secret_name')}' which were not found: create the secret first",
                "/bindings",
            )
            for place, one in placed
            if place not in there
        ]


def needs_of(ref: ScriptRef, bindings: Iterable[PlainBinding]) -> tuple[Need, ...]:
    """The scripts that must be there for a script to be bound so; it may be bound to itself."""
    needs = []
    for one in bindings:
        service = one.fields.get("service")
        if one.kind != _SERVICE or not isinstance(service, str) or one.fields.get("cross_account_grant"):
            continue
        if service != ref.name:
            detail = f"'{one.name}' references Worker '{service}' which was not found: deploy that one first"
            target = ScriptRef(ref.account_id, service)
            needs.append(Need(target, Problem(Code.SERVICE_UNBOUND, detail, "/bindings")))
    return tuple(needs)


async def _check_handler(source: Source) -> None:
    """Refuse modules of which the main one exports nothing: it can have no handler.

    Raises:
        NightsafeError: INVALID.
    """
    main = next(module for module in source.modules if module.name == source.main_module)
    if not source.classic and _bare(main.content_type) in _MODULE_TYPES and not await _has(main.body, _EXPORT):
        sentence = f"the main module '{main.name}' exports no event handler: it has no 'export' at all"
        raise NightsafeError(Code.INVALID, sentence, "/main_module")


async def _has(body: bytes, wanted: bytes) -> bool:
    """Whether a file has some bytes in it, looked for in parts: it may have tens of megabytes."""
    for start in range(0, len(body), _PART):
        if body.find(wanted, start, start + _PART + len(wanted) - 1) >= 0:
            return True
        await turn()
    return False


def _bare(content_type: str) -> str:
    """A content type without parameters."""
    return content_type.partition(";")[0].strip().lower()


def _version(source: Source, settings: Mapping[str, Any], bindings: Iterable[BundleBinding]) -> BundleVersion:
    """What a bundle would have of an upload, as far as it matters whether it can be served."""
    return replace(
        _patched(_NO_VERSION, settings),
        main_module=source.main_module,
        classic=source.classic or BODY_PART in settings,
        modules=tuple(BundleModule(one.name, one.content_type, one.digest) for one in source.modules),
        bindings=tuple(bindings),
    )


def _patched(version: BundleVersion, settings: Mapping[str, Any]) -> BundleVersion:
    """A version with other settings; null resets one."""
    flags, date = "compatibility_flags", "compatibility_date"
    return replace(
        version,
        compatibility_flags=tuple(settings[flags] or ()) if flags in settings else version.compatibility_flags,
        compatibility_date=(settings[date] or "") if date in settings else version.compatibility_date,
    )


def _as_bundled(binding: PlainBinding | Secret) -> BundleBinding:
    """A binding as a bundle would have it, without its value."""
    return BundleBinding(
        binding.name, binding.kind, msgspec.Raw(binding.shown()), None if isinstance(binding, PlainBinding) else b""
    )


def _taken(
    before: Sequence[BundleBinding], keep: frozenset[str], inherits: Sequence[Inherit], own: set[str]
) -> list[BundleBinding]:
    """The bindings of the version before that stay, by their kind or because they are inherited."""
    taken = {one.name: one for one in before if one.kind in keep}
    taken |= {one.name: one for one in _inherited(before, inherits)}
    return [one for name, one in taken.items() if name not in own]


def _inherited(before: Iterable[BundleBinding], inherits: Sequence[Inherit]) -> list[BundleBinding]:
    """The bindings that are taken over, under their new names."""
    there = {one.name: one for one in before}
    return [replace(there[one.old_name], name=one.name) for one in inherits if one.old_name in there]


def _refused(problem: Problem) -> Problem:
    """A reason not to serve a version, as a refusal puts it."""
    if problem.code is not Code.UNSUPPORTED:
        return problem
    detail = (
        f"serve this version, and what it would replace is served on: {problem.detail}. Leave that out, or, to keep"
        f" versions that are not served, run Nightsafe with {_ACCEPT}"
    )
    return Problem(problem.code, detail, problem.pointer)


def _accepted(problem: Problem) -> Problem:
    """The same, as a message beside a success puts it."""
    sentence = "the last version that can be served goes on being served"
    return Problem(Code.UNSUPPORTED, f"serve this version: {problem.detail}; {sentence}", problem.pointer)
