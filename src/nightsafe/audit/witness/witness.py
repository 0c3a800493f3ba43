"""The witness: checks that a log has only grown, remembers its checkpoint, and cosigns it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.audit.witness.state import WitnessState
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, signature_line, signatures
from nightsafe.merkle.cosignature import cosign
from nightsafe.merkle.proofs import is_consistent
from nightsafe.merkle.tree import EMPTY_ROOT

_log = structlog.get_logger()

TEXT: Final = b"text/plain; charset=utf-8"
SIZE: Final = b"text/x.tlog.size"
NOT_GROWN: Final = "the proof does not show that the log has only grown"

Logs = Mapping[str, Sequence[NoteKey]]
"""The keys of the logs that the witness accepts, by origin."""


class WitnessAnswer(NamedTuple):
    """An answer of the witness.

    Attributes:
        status: the HTTP status.
        body: the body.
        content_type: its content type.
    """

    status: int
    body: bytes
    content_type: bytes = TEXT


class Witness:
    """A witness of some logs.

    Args:
        key: signs the cosignatures.
        state: keeps the last checkpoints.
        logs: the keys of the logs; may change between requests.
        clock: returns the time, in seconds since 1970 UTC.
    """

    def __init__(self, key: WitnessKey, state: WitnessState, logs: Logs, clock: Callable[[], float]) -> None:
        self._key: Final = key
        self._state: Final = state
        self._clock: Final = clock
        self._locks: Final[defaultdict[str, asyncio.Lock]] = defaultdict(asyncio.Lock)
        self.logs = logs

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer a request to cosign a checkpoint.

        The comparison with the last checkpoint, the write to the disk and the answer are one step for each log: of
        two requests at once, the second one sees the checkpoint of the first.
        """
        try:
            request = AddCheckpoint.parse(body)
        except NightsafeError as error:
            return _refusal(400, error.problems[0].detail)
        origin = request.checkpoint.origin
        keys = self.logs.get(origin)
        if keys is None:
            return _refusal(404, "the witness does not know this log")
        try:
            open_note(request.note, keys)
        except NightsafeError as error:
            return _refusal(403, error.problems[0].detail)
        if request.old > request.checkpoint.size:
            return _refusal(400, "the old size is larger than the checkpoint's size")
        # A caller that goes away must not end the step in the middle, or the next one would see an older state.
        return await asyncio.shield(asyncio.ensure_future(self._add_alone(request, keys)))

    def last(self, origin: str) -> Checkpoint | None:
        """Return the checkpoint of a log that was cosigned last; None if there is none."""
        return self._state.last(origin)

    def checkpoint(self, name: str) -> WitnessAnswer:
        """Answer with the last cosigned checkpoint of a log.

        Args:
            name: the SHA-256 of the log's origin, in hex.
        """
        note = self._state.note(name)
        return _refusal(404, "the witness has cosigned no checkpoint of this log") if note is None else _ok(note)

    async def _add_alone(self, request: AddCheckpoint, keys: Sequence[NoteKey]) -> WitnessAnswer:
        """Do the same as `_add`, with the log's lock."""
        async with self._locks[request.checkpoint.origin]:
            return await self._add(request, keys)

    async def _add(self, request: AddCheckpoint, keys: Sequence[NoteKey]) -> WitnessAnswer:
        """Cosign a checkpoint if it continues the last one. The caller holds the log's lock."""
        checkpoint = request.checkpoint
        last = self._state.last(checkpoint.origin)
        if request.old != (last.size if last else 0):
            return WitnessAnswer(409, b"%d\n" % (last.size if last else 0), SIZE)
        if not _continues(last, request):
            conflict = last is not None and last.size == checkpoint.size and last.root != checkpoint.root
            _log.error(
                "witness.refused", log=checkpoint.origin, last=request.old, size=checkpoint.size,
                reason="the checkpoint has a valid signature but does not continue the log",
            )  # fmt: skip
            if conflict:
                return WitnessAnswer(409, b"%d\n" % request.old, SIZE)
            return _refusal(422, NOT_GROWN)
        text = checkpoint.text()
        cosignature = cosign(self._key.verifier_key, self._key.sign_message, text, int(self._clock()))
        note = text + b"\n" + _lines_of(request.note, keys) + cosignature
        await asyncio.to_thread(self._state.keep, checkpoint.origin, note)
        return _ok(cosignature)


def _continues(last: Checkpoint | None, request: AddCheckpoint) -> bool:
    """Return True if a request's proof shows that its log begins with the log cosigned last."""
    checkpoint, proof = request.checkpoint, request.proof
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return False
    return is_consistent(request.old, checkpoint.size, last.root if last else EMPTY_ROOT, checkpoint.root, proof)


def _lines_of(note: bytes, keys: Sequence[NoteKey]) -> bytes:
    """Return the signature lines of a log's own keys, which are verified already."""
    known = {(key.name, key.id) for key in keys}
    found = signatures(note.rpartition(b"\n\n")[2])
    return b"".join(signature_line(*line) for line in found if line[:2] in known)


def _ok(body: bytes) -> WitnessAnswer:
    """Return an answer with status 200."""
    return WitnessAnswer(200, body)


def _refusal(status: int, reason: str) -> WitnessAnswer:
    """Return an answer with a reason."""
    return WitnessAnswer(status, reason.encode() + b"\n")
