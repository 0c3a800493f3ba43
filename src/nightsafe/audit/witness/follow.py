"""Follows a log by itself: gets its checkpoint and its tiles, and hands a proof to the witness."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.audit.witness.witness import NOT_GROWN, Witness
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import read_note
from nightsafe.merkle.proofs import consistency_proof, proof_nodes
from nightsafe.merkle.tiles import HEIGHT, WIDTH, hash_ranges, node_from_tiles, split_hashes, tile_of, tile_path

_log = structlog.get_logger()

_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_OK, _CONFLICT = 200, 409

Get = Callable[[str], Awaitable[bytes]]
"""Returns the body at a path below the log's URL; raises NightsafeError UNAVAILABLE."""


class LogFollower:
    """Asks one log for its newest checkpoint, again and again.

    Args:
        name: the log's name in the log of this process.
        get: fetches from the log.
        witness: cosigns the checkpoints.
        sleep: waits for some seconds.
    """

    def __init__(
        self, name: str, get: Get, witness: Witness, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._name: Final = name
        self._get: Final = get
        self._witness: Final = witness
        self._sleep: Final = sleep
        self._problem = ""

    async def run(self) -> None:
        """Follow the log for ever."""
        pause = _PAUSE
        while True:
            try:
                await self.follow()
            except NightsafeError as error:
                self._set_problem(error.problems[0].detail)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._set_problem("")
                pause = _PAUSE
            await self._sleep(pause)

    async def follow(self) -> None:
        """Have the newest checkpoint cosigned, unless it is the last one.

        Raises:
            NightsafeError: UNAVAILABLE, when the log cannot be reached; INVALID, when it does not continue what was
                cosigned, or is not a log that the witness knows.
        """
        note = await self._get("checkpoint")
        checkpoint = read_note(note)
        last = self._witness.last(checkpoint.origin)
        old = last.size if last else 0
        if last is not None and (last.size, last.root) == (checkpoint.size, checkpoint.root):
            return
        if old > checkpoint.size:
            raise NightsafeError(
                Code.INVALID,
                f"the log has {checkpoint.size} entries, but {old} were cosigned: the database was put back to an"
                " older state",
            )
        proof = await self._proof(old, checkpoint.size)
        answer = await self._witness.add_checkpoint(AddCheckpoint(old, proof, note, checkpoint).encode())
        if answer.status == _CONFLICT and old == checkpoint.size:
            raise NightsafeError(Code.INVALID, f"the log has two roots for {old} entries: {NOT_GROWN}")
        if answer.status != _OK:
            raise NightsafeError(Code.INVALID, answer.body.decode().strip())

    async def _proof(self, old: int, size: int) -> tuple[bytes, ...]:
        """Return the consistency proof between two sizes, made of the log's tiles."""
        if not 0 < old < size:
            return ()
        hashes = {}
        for level, start, count in hash_ranges(proof_nodes(old, size)):
            tile = tile_of(level, start, size)
            found = split_tile(await self._get(f"tile/{tile_path(tile)}"), tile.width)
            hashes[level, start] = found[start % WIDTH : start % WIDTH + count]
        return tuple(consistency_proof(old, size, node_from_tiles(lambda level, start, _: hashes[level, start])))

    def _set_problem(self, reason: str) -> None:
        """Remember a problem, and log it if it has changed."""
        if reason == self._problem:
            return
        self._problem = reason
        if reason:
            _log.error("witness.not_followed", log=self._name, reason=reason)
        else:
            _log.info("witness.followed_again", log=self._name)


def split_tile(data: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        NightsafeError: INVALID, when it has another number of hashes.
    """
    try:
        hashes = split_hashes(data)
    except ValueError:
        hashes = []
    if len(hashes) != width:
        raise NightsafeError(Code.INVALID, f"a tile of the log does not have {width} hashes (height {HEIGHT})")
    return hashes
