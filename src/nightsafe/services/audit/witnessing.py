"""Asks witnesses to cosign each new checkpoint, in the background. No write waits for a witness."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.verifier_key import VerifierKey
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.store.interface import Store

_log = structlog.get_logger()

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_LONGEST_WAIT: Final = 3600.0
_SIZE: Final = re.compile(rb"(0|[1-9]\d{0,18})\n")
_OK, _CONFLICT = 200, 409
_REASONS: Final = {
    400: "it cannot read the request, or it has seen a larger log",
    403: "it does not trust the key that signs this log",
    404: "it does not know this log: add the log's verifier key to its list",
    409: "this log differs from the log of the same size that it cosigned last: the database was put back to an older"
    " state, or another server with another log asks it",
    422: "this log does not continue the log that it cosigned last: the database was put back to an older state",
}
_DEFAULT: Final = "its answer is not one of a witness"


class WitnessClient(Protocol):
    """One witness."""

    @property
    def key(self) -> VerifierKey:
        """The key of its cosignatures."""
        ...  # pragma: no cover

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Send a request to cosign a checkpoint; return status and body of the answer.

        Raises:
            NightsafeError: UNAVAILABLE, when there is no answer.
        """
        ...  # pragma: no cover


class Witnessing:
    """Asks one witness for a cosignature after each commit.

    Args:
        store: tells when there is a new commit.
        log: the log; it keeps the cosignatures.
        witness: the witness.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        store: Store,
        log: TransparencyLog,
        witness: WitnessClient,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store: Final = store
        self._transparency_log: Final = log
        self._witness: Final = witness
        self._sleep: Final = sleep
        self._size = 0
        self.problem = ""
        """The reason why the witness has not cosigned the newest checkpoint; "" if it has, or was not asked yet."""

    async def run(self) -> None:
        """Ask for ever: after each commit, and after a failure less and less often."""
        pause = _FIRST_PAUSE
        while True:
            generation = self._store.generation()
            try:
                await self.ask()
            except NightsafeError as error:
                self._set_problem(error.problems[0].detail)
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            self._set_problem("")
            pause = _FIRST_PAUSE
            await self._store.changed(generation, _LONGEST_WAIT)

    async def ask(self) -> None:
        """Ask for a cosignature of the newest checkpoint, and keep it.

        Raises:
            NightsafeError: UNAVAILABLE, when there is no answer; INVALID, when the witness does not cosign; STORE,
                when the log cannot be read.
        """
        status = _CONFLICT
        for _ in range(2):  # the first answer of a witness says which size it has cosigned last
            proof = await self._transparency_log.proof(self._size)
            if not proof.checkpoint:
                return
            checkpoint = read_note(proof.checkpoint)
            request = AddCheckpoint(min(self._size, checkpoint.size), proof.proof, proof.checkpoint, checkpoint)
            status, body = await self._witness.add_checkpoint(request.encode())
            if status != _CONFLICT:
                break
            self._size = _size(body)
            if self._size > checkpoint.size:
                raise NightsafeError(Code.INVALID, _REASONS[400])
        if status != _OK:
            raise NightsafeError(Code.INVALID, _REASONS.get(status, _DEFAULT))
        lines = cosigners_of(checkpoint.text() + b"\n" + body, [self._witness.key])
        if self._witness.key not in lines:
            raise NightsafeError(Code.INVALID, "its answer has no cosignature by its key")
        self._size = checkpoint.size
        self._transparency_log.cosignatures.add(proof.checkpoint, self._witness.key, lines[self._witness.key])

    def _set_problem(self, reason: str) -> None:
        """Remember a problem, and log it if it has changed."""
        if reason == self.problem:
            return
        self.problem = reason
        if reason:
            _log.error("witness.problem", witness=self._witness.key.name, reason=reason)
        else:
            _log.info("witness.well_again", witness=self._witness.key.name)


def _size(body: bytes) -> int:
    """Return the size in the body of a conflict.

    Raises:
        NightsafeError: INVALID, when there is no size in the body.
    """
    match = _SIZE.fullmatch(body)
    if match is None:
        raise NightsafeError(Code.INVALID, _DEFAULT)
    return int(match[1])
