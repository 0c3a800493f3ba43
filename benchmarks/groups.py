"""Measures the time that groups of sealed values save: one encapsulation for a group, or one for each value.

Run as `python -m benchmarks.groups REPEATS`. Prints a list of figures for each name: the CPU microseconds for one
value, and the ratios. Values sealed alone are of version 1. In both forms one signature covers the statements of all
values, so the ratio shows the encapsulations only.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.micro import cost
from benchmarks.settings import ACCOUNT_ID, VALUE
from benchmarks.traffic import NAMES, SCRIPT, SECRET
from tests.proofs import prove

from nightsafe.bundle.resealing import OldValue
from nightsafe.delivery.key_rotation.resealed_value import BatchSealer, reseal_value
from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.proven_record import ProvenRecord, put_digest
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicKey, PublicRing
from nightsafe.sealing.sealer import RingSealer
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.secret_value import SecretValue
from nightsafe.services.key_rotation.resealing import MAX_VALUES

_BUNDLES = (10, 100)
_VALUES = 1000
"""The number of values in each measurement, rounded down to whole bundles and batches."""

Records = dict[Context, bytes]
"""Stored records by their places."""


class _Opener(RecordOpener):
    """An opener whose ring can be read, as that of the delivery process."""

    def __init__(self, verify_keys: VerifyKeys, ring: PrivateRing) -> None:
        super().__init__(verify_keys, ring)
        self.ring = ring


class _AloneSealer(BatchSealer):
    """Seals each value of a batch alone."""

    def __init__(self, ring: PublicRing) -> None:
        super().__init__()
        self._alone = RingSealer(ring)

    def seal(self, _: PublicKey, context: Context, value: SecretValue) -> bytes:
        """Seal a value to the ring's primary key."""
        return self._alone.seal(context, value)


def measure(repeats: int) -> dict[str, list[float]]:
    """Measure every step."""
    signer, old_ring = SigningKey.generate(), PrivateRing.generate()
    ring = old_ring.rotated()

    def opener() -> _Opener:
        """Return an opener that has opened nothing yet."""
        return _Opener(VerifyKeys([signer.verify_key]), ring)

    def records(count: int, sealer: BatchSealer) -> Records:
        """Return values under the old key, as one commit stored them."""
        key, places = old_ring.primary.public, map(_place, range(count))
        sealed = {place: sealer.seal(key, place, SecretValue(VALUE.encode())) for place in places}
        proofs = prove(signer, [put_digest(place.record_digest(value), 1) for place, value in sealed.items()])
        return {
            place: ProvenRecord.join(1, proof, sealed[place]) for place, proof in zip(sealed, proofs, strict=True)
        }

    figures, alone = dict[str, list[float]](), _AloneSealer(old_ring.public())
    for count in _BUNDLES:
        opened = {
            "each alone": partial(_open, records(count, alone), opener),
            "one group": partial(_open, records(count, BatchSealer()), opener),
        }
        figures |= _in_turns(f"open a bundle of {count} values", opened, count, repeats)
    of_alone, of_group = records(MAX_VALUES, alone), records(MAX_VALUES, BatchSealer())
    resealed = {
        "each alone": partial(_reseal, of_alone, opener, partial(_AloneSealer, ring.public())),
        "into one group": partial(_reseal, of_alone, opener, BatchSealer),
        "from and into one group": partial(_reseal, of_group, opener, BatchSealer),
    }
    return figures | _in_turns(f"reseal {MAX_VALUES} values", resealed, MAX_VALUES, repeats)


def _place(number: int) -> Context:
    """Return the place of the n-th value."""
    name = NAMES[SECRET] % number
    return Context(account_id=ACCOUNT_ID, namespace="", script=NAMES[SCRIPT] % 0, name=name, kind="secret_text")


def _open(records: Records, make_opener: Callable[[], _Opener]) -> None:
    """Open all values."""
    opener = make_opener()
    for place, record in records.items():
        opener.open(place, record).wipe()
    opener.forget()


def _reseal(records: Records, make_opener: Callable[[], _Opener], make_batch: Callable[[], BatchSealer]) -> None:
    """Reseal all values to the primary key."""
    opener, batch = make_opener(), make_batch()
    for place, record in records.items():
        old_value = OldValue(
            mark="",
            namespace=place.namespace,
            script=place.script,
            name=place.name,
            sealed_name=place.name,
            kind=place.kind,
            public=place.public,
            record=record,
        )
        reseal_value(ACCOUNT_ID, old_value, opener.ring.primary.id, opener, batch)
    batch.forget()
    opener.forget()


def _in_turns(
    what: str, steps: Mapping[str, Callable[[], None]], values: int, repeats: int
) -> dict[str, list[float]]:
    """Return the microseconds for one value in each step, and the ratio of the first step to each other one."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            taken[name] += [all_values / values for all_values in cost(step, _VALUES // values, 1)]
    first, *others = taken
    shares = {
        f"{first} / {other}": [one / another for one, another in zip(taken[first], taken[other], strict=True)]
        for other in others
    }
    return {f"{what}: {name}": figures for name, figures in (taken | shares).items()}


def main() -> None:
    """Measure, and print JSON."""
    print(json.dumps(measure(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
