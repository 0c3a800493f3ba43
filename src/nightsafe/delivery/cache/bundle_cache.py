"""The last good bundle of every script, and what workerd is told of each."""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import chain, count
from typing import Any, Final

import msgspec
from msgspec import Struct

from nightsafe.bundle.compatibility import callee_of, check, fields_of
from nightsafe.bundle.model import Bundle, BundleVersion
from nightsafe.bundle.signed import open_bundle
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.workerd.limits import CPU_SECONDS
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import MessageVerifier

_LATE_LOADS: Final = 8
_LATE_SECONDS: Final = 5.0

NOT_SERVED: Final = {"status": 404, "message": "there is no such script, or it is not deployed"}
REFUSED: Final = {"status": 501, "message": "the script cannot be served here; the delivery log says why"}


class Load(Struct, frozen=True):
    """One version under the number by which workerd asks for it. A number is never used again."""

    number: int
    bundle: Bundle
    version: BundleVersion
    fingerprint: bytes


class Held(Struct, frozen=True):
    """A script as it is served.

    Attributes:
        bundle: the last good one.
        epoch: grows with each bundle whose contents differ; workerd takes no older route after a newer one.
        loads: one for each version; none when it cannot be served.
        refusal: why it is not served, for whoever asks; None when it is.
    """

    bundle: Bundle
    epoch: int
    loads: tuple[Load, ...]
    refusal: dict[str, Any] | None = None

    def route(self) -> dict[str, Any]:
        """What workerd is told."""
        versions = [{"load": one.number, "id": one.version.id, "share": one.version.percentage} for one in self.loads]
        return {
            "epoch": self.epoch,
            "versions": versions,
            "refusal": self.refusal,
            "code": self.code,
            "light": self.light,
            "outside": NOT_SERVED if self.bundle.inner else None,
        }

    @property
    def code(self) -> str:
        """What stands for the code of all that is served: it stays the same when values change, or shares."""
        told = sorted(msgspec.json.encode(code_of(one.version)) for one in self.loads)
        return sha256(b"".join(told)).hexdigest()[:16]

    @property
    def light(self) -> bool:
        """Whether it may run where it could hold others up, once it has shown that it does not.

        Not what announces that it will compute for long, nor what calls others: these would run beside it.
        """
        return all(
            one.version.cpu_ms is None and all(binding.kind != "service" for binding in one.version.bindings)
            for one in self.loads
        )

    @property
    def cpu_seconds(self) -> float:
        """CPU time that a request may use."""
        return max((one.version.cpu_ms or 0 for one in self.loads), default=0) / 1000 or CPU_SECONDS

    @property
    def callees(self) -> set[str]:
        """Scripts that it has a service binding to."""
        bindings = chain.from_iterable(one.version.bindings for one in self.loads)
        return {callee_of(fields_of(binding)) for binding in bindings if binding.kind == "service"}


class BundleCache:
    """Bundles of one account. Only what is signed, of this account and not older than what was seen comes in.

    Args:
        account_id: whose scripts these are.
        verifier: tells whose signatures are trusted.
        serials: the highest serials seen.
    """

    def __init__(self, account_id: str, verifier: MessageVerifier, serials: Serials) -> None:
        self._account_id = account_id
        self._verifier = verifier
        self._serials = serials
        self._held: dict[str, Held] = {}
        self._numbers = count(1)
        self._loads: dict[int, Load] = {}
        self._late: defaultdict[str, deque[tuple[float, Load]]] = defaultdict(partial(deque, maxlen=_LATE_LOADS))

    def floor(self) -> int:
        """The serial below which a bundle that is asked for from now on is too old."""
        return self._serials.get(self._account_id)

    def get(self, script: str) -> Held | None:
        """A script as it is served, or None when there is no bundle of it."""
        return self._held.get(script)

    def code(self, script: str) -> str:
        """The code of a script, "" of one there is no bundle of."""
        held = self._held.get(script)
        return held.code if held else ""

    def cpu_seconds(self, script: str) -> float:
        """CPU time that a request of a script may use."""
        held = self._held.get(script)
        return held.cpu_seconds if held else CPU_SECONDS

    def serves(self, script: str, number: int) -> bool:
        """Whether a load is one that a script is served from now."""
        held = self._held.get(script)
        return held is not None and any(one.number == number for one in held.loads)

    def callees(self, script: str) -> tuple[str, ...]:
        """Scripts that a script calls, or that one of those calls."""
        found, left = set[str](), {script}
        while left:
            held = self._held.get(left.pop())
            new = held.callees - found if held else set()
            found |= new
            left |= new
        return tuple(sorted(found - {script}))

    def load(self, number: int) -> Load | None:
        """A load that is current, or was a moment ago, or None.

        A request that has chosen a version may ask for it just after it was superseded; were it sent to choose again
        each time, it might never get one while a script changes all the time.
        """
        return self._loads.get(number) or next((one for one in self._superseded() if one.number == number), None)

    def scripts(self) -> Iterator[str]:
        """Names of the scripts there is a bundle of."""
        return iter(self._held)

    def digests(self) -> set[bytes]:
        """Of all contents that are needed."""
        loads = chain(self._loads.values(), self._superseded())
        return {module.digest for load in loads for module in load.version.modules}

    def admit(self, script: str, data: bytes, floor: int) -> Bundle | None:
        """The bundle out of what the source gave, if it may take the place of what there is.

        Args:
            script: which script was asked for.
            data: what came.
            floor: `floor()` as it was when the request was sent: whoever answers must know as much.

        Returns:
            None when a newer one came in meanwhile.

        Raises:
            NightsafeError: CANNOT_OPEN or INVALID, with what is wrong with it.
        """
        bundle = open_bundle(data, self._verifier)
        if (bundle.account_id, bundle.namespace, bundle.script) != (self._account_id, "", script):
            raise NightsafeError(Code.INVALID, "the bundle is that of another script")
        if bundle.serial < floor:
            raise NightsafeError(
                Code.INVALID,
                f"the bundle has serial {bundle.serial}, but {floor} has been seen: the database was put back to an"
                " older state, or somebody sends what was recorded earlier",
            )
        _check_shares(bundle.versions)
        self._serials.raise_to(self._account_id, bundle.serial)
        held = self._held.get(script)
        return None if held and held.bundle.serial > bundle.serial else bundle

    def put(self, bundle: Bundle) -> Held | None:
        """Serve a bundle that was admitted; None when that changes nothing for workerd.

        A version that cannot be served makes the whole script refused: `refusals` says why.
        """
        before = self._held.get(bundle.script)
        if before and before.bundle.serial > bundle.serial:
            return None
        refusal = self._refusal(bundle)
        loads = () if refusal else tuple(self._as_loads(bundle, before.loads if before else ()))
        same = (
            before
            and [_key(one) for one in before.loads] == [_key(one) for one in loads]
            and before.refusal == refusal
            and before.bundle.inner == bundle.inner
        )
        epoch = before.epoch if before and same else (before.epoch if before else 0) + 1
        if before and not same:
            self._drop(
                bundle.script, (one for one in before.loads if one.number not in {new.number for new in loads})
            )
        self._loads |= {one.number: one for one in loads}
        self._held[bundle.script] = held = Held(bundle, epoch, loads, refusal)
        return None if same else held

    @staticmethod
    def _refusal(bundle: Bundle) -> dict[str, Any] | None:
        """What to answer when a script is not served; None when it is."""
        if not bundle.versions:
            return NOT_SERVED
        return REFUSED if refusals(bundle) else None

    def _as_loads(self, bundle: Bundle, before: Iterable[Load]) -> Iterator[Load]:
        """A load for each version: that of before while nothing of it has changed."""
        known = {one.fingerprint: one.number for one in before}
        for version in bundle.versions:
            fingerprint = version.fingerprint()
            number = known.get(fingerprint) or next(self._numbers)
            yield Load(number, bundle, version, fingerprint)

    def _drop(self, script: str, loads: Iterable[Load]) -> None:
        """Loads are superseded."""
        for load in loads:
            del self._loads[load.number]
            self._late[script].append((time.monotonic(), load))

    def _superseded(self) -> Iterator[Load]:
        """Loads that were superseded a moment ago; older ones are forgotten."""
        before = time.monotonic() - _LATE_SECONDS
        for script, late in tuple(self._late.items()):
            while late and late[0][0] < before:
                late.popleft()
            if not late:
                del self._late[script]
            yield from (load for _, load in late)


def refusals(bundle: Bundle) -> tuple[str, ...]:
    """Why a bundle cannot be served: a sentence for each binding, module or flag."""
    reasons: dict[str, None] = {}
    for version in bundle.versions:
        try:
            check(version)
        except NightsafeError as error:
            reasons |= dict.fromkeys(problem.detail for problem in error.problems)
    return tuple(reasons)


def code_of(version: BundleVersion) -> tuple[object, ...]:
    """What of a version is code, and how it is to be run."""
    modules = tuple((module.name, module.content_type, module.digest) for module in version.modules)
    flags = version.compatibility_flags
    return version.main_module, version.classic, version.compatibility_date, flags, version.cpu_ms, modules


def _key(load: Load) -> tuple[int, float]:
    """What workerd is told of a load."""
    return load.number, load.version.percentage


def _check_shares(versions: Iterable[BundleVersion]) -> None:
    """Refuse percentages that are none; NightsafeError INVALID."""
    shares = [version.percentage for version in versions]
    if not all(0 <= share <= 100 for share in shares) or (shares and not any(shares)):  # noqa: PLR2004 - per cent
        raise NightsafeError(Code.INVALID, "the bundle has a version with a percentage that is none")
