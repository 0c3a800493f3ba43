"""Keeps the last good bundle of every script, and the route for it that workerd gets."""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import chain, count
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.compatibility import callee_of, check_servable, fields_of
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.bundle.signed import open_bundle
from nightsafe.bundle.verification import check_stated
from nightsafe.delivery.approval.gate import Gate
from nightsafe.delivery.cache.record_check import check_new_records
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.workerd.limits import CPU_SECONDS
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import Verifier

_MAX_SUPERSEDED: Final = 8
_SUPERSEDED_SECONDS: Final = 5.0

NOT_SERVED: Final = {"status": 404, "message": "there is no such script, or it is not deployed"}
REFUSED: Final = {"status": 501, "message": "the script cannot be served here; the delivery log says why"}
WAITING: Final = {"status": 503, "message": "the script waits for approval; the delivery log says why"}


class Load(Struct, frozen=True):
    """One version with the number under which workerd asks for it. Numbers are never reused."""

    number: int
    bundle: Bundle
    version: BundleVersion
    fingerprint: bytes


class ServedScript(Struct, frozen=True):
    """A script as it is served now.

    Attributes:
        bundle: its last good bundle.
        epoch: grows with each bundle whose contents differ; workerd ignores a route with a lower epoch than it has.
        loads: one load for each version; empty when the script cannot be served.
        refusal: the answer to requests when the script is not served; None when it is.
    """

    bundle: Bundle
    epoch: int
    loads: tuple[Load, ...]
    refusal: dict[str, Any] | None = None

    def route(self) -> dict[str, Any]:
        """Return the route, which tells workerd how to serve the script."""
        versions = [
            {"load": load.number, "id": load.version.id, "share": load.version.percentage} for load in self.loads
        ]
        return {
            "epoch": self.epoch,
            "versions": versions,
            "refusal": self.refusal,
            "code": self.code_digest,
            "light": self.may_share_process,
            "outside": NOT_SERVED if self.bundle.inner else None,
        }

    @property
    def code_digest(self) -> str:
        """A digest of the code of all served versions. It stays the same when only values or percentages change."""
        codes = sorted(msgspec.json.encode(code_parts(load.version)) for load in self.loads)
        return sha256(b"".join(codes)).hexdigest()[:16]

    @property
    def may_share_process(self) -> bool:
        """True if the script may share a process with others once it has proved not to hold them up.

        False for a script that sets its own CPU limit, and for one that calls others, which would run beside it.
        """
        return all(
            load.version.cpu_ms is None and all(binding.kind != "service" for binding in load.version.bindings)
            for load in self.loads
        )

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that a request may use, in seconds."""
        return max((load.version.cpu_ms or 0 for load in self.loads), default=0) / 1000 or CPU_SECONDS

    @property
    def callees(self) -> set[str]:
        """The scripts that it has service bindings to."""
        bindings = chain.from_iterable(load.version.bindings for load in self.loads)
        return {callee_of(fields_of(binding)) for binding in bindings if binding.kind == "service"}


class BundleCache:
    """The bundles of one account. Only bundles that are signed, of this account, and not outdated come in.

    Args:
        account_id: the account that owns the scripts.
        verifier: verifies the bundles' signatures.
        serials: the highest serials seen.
        gate: lets only approved versions through; None if no version needs an approval.
    """

    def __init__(self, account_id: str, verifier: Verifier, serials: Serials, gate: Gate | None = None) -> None:
        self._account_id = account_id
        self._verifier = verifier
        self._serials = serials
        self.gate: Final = gate
        self._served: dict[str, ServedScript] = {}
        self._numbers = count(1)
        self._loads: dict[int, Load] = {}
        self._superseded: defaultdict[str, deque[tuple[float, Load]]] = defaultdict(
            partial(deque, maxlen=_MAX_SUPERSEDED)
        )

    def floor(self) -> int:
        """Return the lowest serial that a bundle requested from now on may have."""
        return self._serials.get(self._account_id)

    def wanted(self, script: str) -> ApprovedBy | None:
        """Return the approvals that a bundle of a script must have; None if it needs none."""
        return None if self.gate is None else self.gate.wanted(script)

    def get(self, script: str) -> ServedScript | None:
        """Return a script as it is served, or None when there is no bundle of it."""
        return self._served.get(script)

    def code_digest(self, script: str) -> str:
        """Return the code digest of a script, "" when there is no bundle of it."""
        served = self._served.get(script)
        return served.code_digest if served else ""

    def cpu_seconds(self, script: str) -> float:
        """Return the CPU time that a request of a script may use, in seconds."""
        served = self._served.get(script)
        return served.cpu_seconds if served else CPU_SECONDS

    def serves(self, script: str, number: int) -> bool:
        """Return whether a script is currently served from the load with this number."""
        served = self._served.get(script)
        return served is not None and any(load.number == number for load in served.loads)

    def callees(self, script: str) -> tuple[str, ...]:
        """Return the scripts that a script calls, directly or through others."""
        found, pending = set[str](), {script}
        while pending:
            served = self._served.get(pending.pop())
            new = served.callees - found if served else set()
            found |= new
            pending |= new
        return tuple(sorted(found - {script}))

    def load(self, number: int) -> Load | None:
        """Return a load that is current or was so a moment ago, or None.

        A request that has chosen a version may ask for it just after a newer one replaced it. If it had to choose
        again each time, it might never get a version while the script keeps changing.
        """
        return self._loads.get(number) or next(
            (load for load in self._recently_superseded() if load.number == number), None
        )

    def scripts(self) -> Iterator[str]:
        """Return the names of the scripts that have a bundle."""
        return iter(self._served)

    def digests(self) -> set[bytes]:
        """Return the digests of all contents that are needed."""
        loads = chain(self._loads.values(), self._recently_superseded())
        return {module.digest for load in loads for module in load.version.modules}

    def admit(self, script: str, data: bytes, floor: int) -> Bundle:
        """Verify an answer of the source, and return its bundle. Remember nothing of it until `take`.

        Args:
            script: the script that was asked for.
            data: the answer.
            floor: the result of `floor()` when the request was sent; the answer must not be older.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, with what is wrong with the bundle: it may lack an approval.
        """
        bundle = open_bundle(data, self._verifier)
        if (bundle.account_id, bundle.namespace, bundle.script) != (self._account_id, "", script):
            raise NightsafeError(Code.INVALID, "the bundle belongs to another script")
        if bundle.serial < floor:
            raise NightsafeError(
                Code.INVALID,
                f"the bundle has serial {bundle.serial}, but {floor} has been seen: the database was put back to an"
                " older state, or somebody replays an answer that they recorded",
            )
        _check_percentages(bundle.versions)
        check_stated(bundle, self._verifier)
        if served := self._served.get(script):
            check_new_records(bundle, served.bundle, self._verifier)
        if self.gate is not None:
            self.gate.admit(bundle)
        return bundle

    def take(self, bundle: Bundle) -> bool:
        """Raise the floor to the serial of an admitted bundle, and remember how far its script has come.

        Call it after the check of the log: it names the way out if the whole database was put back.

        Returns:
            False if a newer bundle came in meanwhile.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, when the script was put back to an older state. Then nothing is
                remembered.
        """
        served = self._served.get(bundle.script)
        is_newest = not (served and served.bundle.serial > bundle.serial)
        if is_newest:
            self._serials.scripts.check(bundle)
        self._serials.raise_to(self._account_id, bundle.serial)
        if self.gate is not None:
            self.gate.remember(bundle)
        if is_newest and not refusals(bundle):
            self._serials.scripts.remember(bundle)
        return is_newest

    def put(self, bundle: Bundle) -> ServedScript | None:
        """Serve a bundle that was admitted; return None when that changes nothing for workerd.

        One version that cannot be served makes the whole script refused; `refusals` gives the reasons. If the API
        has no approved version to offer, the version that is served stays: it was approved.

        Raises:
            NightsafeError: CANNOT_OPEN, when the approvers file has changed since the bundle was admitted.
        """
        self.check_approved(bundle)
        before = self._served.get(bundle.script)
        if before and (before.bundle.serial > bundle.serial or _only_waits(bundle, before)):
            return None
        refusal = self._refusal(bundle)
        loads = () if refusal else tuple(self._make_loads(bundle, before.loads if before else ()))
        same = (
            before
            and [_route_key(load) for load in before.loads] == [_route_key(load) for load in loads]
            and before.refusal == refusal
            and before.bundle.inner == bundle.inner
        )
        epoch = before.epoch if before and same else (before.epoch if before else 0) + 1
        if before and not same:
            self._supersede(
                bundle.script, (load for load in before.loads if load.number not in {new.number for new in loads})
            )
        self._loads |= {load.number: load for load in loads}
        self._served[bundle.script] = served = ServedScript(bundle, epoch, loads, refusal)
        return None if same else served

    def withdraw_unapproved(self) -> list[ServedScript]:
        """Stop serving the scripts whose versions are no longer approved, after a change of the approvers file."""
        withdrawn = []
        for script, served in tuple(self._served.items()):
            try:
                self.check_approved(served.bundle)
            except NightsafeError:
                self._supersede(script, served.loads)
                waiting = tuple(version.id for version in served.bundle.versions)
                bundle = msgspec.structs.replace(served.bundle, versions=(), deployment=None, waiting=waiting)
                self._served[script] = refused = ServedScript(bundle, served.epoch + 1, (), WAITING)
                withdrawn.append(refused)
        return withdrawn

    def check_approved(self, bundle: Bundle) -> None:
        """Refuse to open the values of a bundle whose versions are not approved.

        Raises:
            NightsafeError: CANNOT_OPEN, with the first version that is not approved.
        """
        if self.gate is not None:
            self.gate.check(bundle)

    @staticmethod
    def _refusal(bundle: Bundle) -> dict[str, Any] | None:
        """Return the answer to requests when the script is not served; None when it is."""
        if not bundle.versions:
            return WAITING if bundle.waiting else NOT_SERVED
        return REFUSED if refusals(bundle) else None

    def _make_loads(self, bundle: Bundle, before: Iterable[Load]) -> Iterator[Load]:
        """Yield a load for each version, with the previous number if nothing in the version has changed."""
        numbers = {load.fingerprint: load.number for load in before}
        for version in bundle.versions:
            fingerprint = version.fingerprint()
            number = numbers.get(fingerprint) or next(self._numbers)
            yield Load(number, bundle, version, fingerprint)

    def _supersede(self, script: str, loads: Iterable[Load]) -> None:
        """Move loads that were replaced to the late ones."""
        for load in loads:
            del self._loads[load.number]
            self._superseded[script].append((time.monotonic(), load))

    def _recently_superseded(self) -> Iterator[Load]:
        """Yield the loads that were replaced a moment ago, and forget older ones."""
        before = time.monotonic() - _SUPERSEDED_SECONDS
        for script, superseded in tuple(self._superseded.items()):
            while superseded and superseded[0][0] < before:
                superseded.popleft()
            if not superseded:
                del self._superseded[script]
            yield from (load for _, load in superseded)


def _only_waits(bundle: Bundle, before: ServedScript) -> bool:
    """Return True if a bundle has no approved version, and the same script is already served."""
    same_script = bundle.script_id == before.bundle.script_id
    return bool(bundle.waiting and not bundle.versions and before.loads and same_script)


def refusals(bundle: Bundle) -> tuple[str, ...]:
    """Return why a bundle cannot be served: a sentence for each binding, module or flag."""
    reasons: dict[str, None] = {}
    for version in bundle.versions:
        try:
            check_servable(version)
        except NightsafeError as error:
            reasons |= dict.fromkeys(problem.detail for problem in error.problems)
    return tuple(reasons)


def code_parts(version: BundleVersion) -> tuple[object, ...]:
    """Return the parts of a version that are code, or that say how to run it."""
    modules = tuple((module.name, module.content_type, module.digest) for module in version.modules)
    flags = version.compatibility_flags
    return version.main_module, version.classic, version.compatibility_date, flags, version.cpu_ms, modules


def _route_key(load: Load) -> tuple[int, float]:
    """Return the number and the percentage of a load, which workerd gets."""
    return load.number, load.version.percentage


def _check_percentages(versions: Iterable[BundleVersion]) -> None:
    """Refuse invalid percentages with NightsafeError INVALID."""
    shares = [version.percentage for version in versions]
    if not all(0 <= share <= 100 for share in shares) or (shares and not any(shares)):  # noqa: PLR2004 - per cent
        raise NightsafeError(Code.INVALID, "the bundle has an invalid percentage, or all its percentages are 0")
