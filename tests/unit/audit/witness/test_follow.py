"""A witness that follows a log by itself, from the log's checkpoint and tiles."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.delivery.tools.changing_log import ChangingLog

from nightsafe.audit.witness.follow import LogFollower
from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.state import WitnessState
from nightsafe.audit.witness.witness import Witness
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.checkpoint import NoteKey
from nightsafe.merkle.tiles import WIDTH, parse_tile
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.sealing.signing_key import SigningKey

KEY = SigningKey.generate()


class Tiles:
    """The endpoints of a log.

    Attributes:
        log: the log.
        paths: the paths that were fetched.
        damage: appended to every tile.
        is_away: whether no request is answered.
    """

    def __init__(self) -> None:
        self.log = ChangingLog(KEY)
        self.paths: list[str] = []
        self.damage = b""
        self.is_away = False

    async def get(self, path: str) -> bytes:
        """Answer a request."""
        self.paths.append(path)
        if self.is_away:
            raise NightsafeError(Code.UNAVAILABLE, "it cannot be reached")
        if path == "checkpoint":
            return (await self.log.log_proof(0)).checkpoint
        tile = parse_tile(path.removeprefix("tile/"))
        assert tile is not None
        assert tile.level is not None
        assert tile.exists(len(self.log.entries))
        span = WIDTH**tile.level
        leaves = [leaf_hash(entry.encode()) for entry in self.log.entries]
        nodes = [root_of(leaves[at * span : (at + 1) * span]) for at in range(tile.start, tile.start + tile.width)]
        return b"".join(nodes) + self.damage


@pytest.fixture
def tiles() -> Tiles:
    """Return a log of three entries."""
    made = Tiles()
    made.log.grow("first", 3)
    return made


@pytest.fixture
def witness(tmp_path: Path, tiles: Tiles) -> Witness:
    """Return a witness of the log."""
    key = WitnessKey.generate("witness.example/w1")
    logs = {tiles.log.origin: [NoteKey(tiles.log.origin, KEY.public)]}
    return Witness(key, WitnessState(tmp_path, key.verifier_key), logs, lambda: 1_700_000_000.0)


def size(witness: Witness, tiles: Tiles) -> int:
    """Return the size that the witness has cosigned last."""
    last = witness.last(tiles.log.origin)
    return last.size if last else 0


async def test_a_growing_log_is_followed(witness: Witness, tiles: Tiles) -> None:
    """Each checkpoint is cosigned, at sizes around those of whole tiles; an unchanged log is not cosigned again."""
    follower = LogFollower("log", tiles.get, witness)
    for total in (3, 4, 255, 256, 257, 511, 513, 700):
        tiles.log.grow("more", total - len(tiles.log.entries))
        await follower.follow()
        assert total == size(witness, tiles)
    tiles.paths.clear()
    await follower.follow()

    assert ["checkpoint"] == tiles.paths


async def test_a_fork_is_reported(witness: Witness, tiles: Tiles) -> None:
    """A log that was forked or cut is not cosigned, at the same size, a larger one or a smaller one."""
    follower = LogFollower("log", tiles.get, witness)
    await follower.follow()
    tiles.log.entries[1] = "forked"
    for count in (0, 2, 300):
        tiles.log.grow("later", count)
        with pytest.raises(NightsafeError, match="only grown"):
            await follower.follow()
    del tiles.log.entries[2:]
    with pytest.raises(NightsafeError, match="2 entries, but 3 were cosigned"):
        await follower.follow()

    assert 3 == size(witness, tiles)


async def test_a_tile_of_another_size_is_refused(witness: Witness, tiles: Tiles) -> None:
    """A tile with a hash too many, or with a part of a hash, is refused."""
    follower = LogFollower("log", tiles.get, witness)
    await follower.follow()
    tiles.log.grow("more", 2)
    for damage in (bytes(32), b"x"):
        tiles.damage = damage
        with pytest.raises(NightsafeError, match="does not have 5 hashes"):
            await follower.follow()


async def test_problems_are_reported_once(witness: Witness, tiles: Tiles) -> None:
    """A log that is away is asked less and less often; the problem and its end are logged once each."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        """Count the pauses; the log is back after the sixth, and the test ends after the eighth."""
        pauses.append(seconds)
        tiles.is_away = len(pauses) < 6
        if len(pauses) == 8:
            raise ZeroDivisionError

    tiles.is_away = True
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await LogFollower("log", tiles.get, witness, sleep).run()

    assert [10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 5.0, 5.0] == pauses
    assert ["witness.not_followed", "witness.followed_again"] == [log["event"] for log in logs]
