"""Pinning against an untrusted server, which swaps the ring, drops it, or offers an older one or fewer links."""

import json
import logging
import re
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from tests.unit.client.recorder import ACCOUNT, Answer, Either, answer, raw, refusal, settled

from nightsafe.client import SealingError
from nightsafe.client.client_sealed import log_unsealed
from nightsafe.client.rings.known_rings import CannotKeepError, KnownRings, RingOwner, UnusableError
from nightsafe.sealing.rings.lineage import Identity, Lineage, Link, NotFollowedError, follow
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_signer import public_ring
from nightsafe.sealing.suite import Suite

TEXT = {"name": "S", "text": "plaintext-of-the-test", "type": "secret_text"}
SECRET = {"name": "S", "type": "secret_text"}


def rotated(private: PrivateRing, before: PublicRing) -> tuple[PrivateRing, PublicRing]:
    """Return both rings after one rotation."""
    after = private.rotated()
    return after, public_ring(after, before, private.primary)


PRIVATE = [PrivateRing.generate()]
RINGS = [public_ring(PRIVATE[0])]
for _ in range(3):
    _private, _public = rotated(PRIVATE[-1], RINGS[-1])
    PRIVATE.append(_private)
    RINGS.append(_public)
FOREIGN = public_ring(PrivateRing.generate())
UNSIGNED = PublicRing(RINGS[0].keys, number=1)


def offered(ring: PublicRing) -> Answer:
    """Return an answer in which a server offers a ring."""
    return answer(json.loads(ring.encode_offer()), result_info=json.loads(ring.encode_proof()))


def update(client: Any) -> Any:
    """Write one secret."""
    return client.workers.scripts.secrets.update("s", account_id=ACCOUNT, **TEXT)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which rings are remembered, in a configuration directory of the user's own."""
    monkeypatch.delenv("NIGHTSAFE_KNOWN_RINGS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "nightsafe" / "known-rings"


def ring_lines(known: Path) -> list[str]:
    """Return the file's lines about rings."""
    return [line for line in known.read_text().splitlines() if not line.startswith("#")] if known.exists() else []


async def write(either: Either, *answers: Answer, **settings: Any) -> str:
    """Write with a new client; return the id of the key that it sealed to, or the refusal.

    The plaintext leaves only if the test says so.
    """
    client = either.over(*answers, **{"seal": True, **settings})
    try:
        await settled(update(client))
    except SealingError as error:
        assert all(b"plaintext" not in request.content for request in either.recorder.requests)
        return str(error)
    return str(either.recorder.body.get("key_id", "plaintext"))


def forged(ring: PublicRing, by: PrivateRing) -> PublicRing:
    """Return a ring whose links another private ring has signed in the name of the known one."""
    stolen = public_ring(by.rotated(), ring, by.primary).lineage.links[-1]
    link = Link(9, FOREIGN.identity.primary, FOREIGN.identity.signer, ring.identity.signer, stolen.signature)
    return PublicRing(FOREIGN.keys, number=9, lineage=Lineage(FOREIGN.lineage.signer, (*ring.lineage.links, link)))


SWAPS: dict[str, Callable[[], Answer]] = {
    "another ring": lambda: offered(FOREIGN),
    "another ring with a greater number": lambda: offered(
        PublicRing(FOREIGN.keys, number=99, lineage=FOREIGN.lineage)
    ),
    "another ring with the true links": lambda: offered(
        PublicRing(FOREIGN.keys, number=5, lineage=Lineage(FOREIGN.lineage.signer, RINGS[3].lineage.links))
    ),
    "another ring with the true signer's name": lambda: offered(
        PublicRing(FOREIGN.keys, number=5, lineage=Lineage(RINGS[3].lineage.signer, RINGS[3].lineage.links))
    ),
    "another ring, signed by the server's own key": lambda: offered(forged(RINGS[1], PrivateRing.generate())),
    "an older ring": lambda: offered(RINGS[0]),
    "an older ring with the newer links": lambda: offered(
        PublicRing(RINGS[0].keys, number=9, lineage=Lineage(RINGS[0].lineage.signer, RINGS[3].lineage.links))
    ),
    "a newer ring without links": lambda: offered(PublicRing(RINGS[3].keys, number=4)),
    "a newer ring with a link cut out": lambda: offered(
        PublicRing(RINGS[3].keys, number=4, lineage=Lineage(RINGS[3].lineage.signer, RINGS[3].lineage.links[2:]))
    ),
    "the known ring with another signer": lambda: offered(
        PublicRing(RINGS[1].keys, number=2, lineage=FOREIGN.lineage)
    ),
    "malformed links": lambda: answer(json.loads(RINGS[3].encode_offer()), result_info={"lineage": {"links": [{}]}}),
    "not found": lambda: refusal(404, 7003),
    "forbidden": lambda: refusal(403, 10000),
    "an answer that is not JSON": lambda: raw(b"<html>not here</html>", 404),
    "a page": lambda: raw(b"<html>welcome</html>"),
    "null": lambda: answer(None),
    "another format": lambda: answer({"format": "another/1"}),
}


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("seal", [True, "require"])
async def test_a_pinned_ring_is_not_swapped(either: Either, known: Path, swap: str, seal: Any) -> None:
    """When a server offers anything else than the known ring, nothing is sent, and the ring stays known."""
    assert RINGS[1].primary.id == await write(either, offered(RINGS[1]), answer(SECRET))
    before = ring_lines(known)

    assert "nothing was sent" in await write(either, SWAPS[swap](), seal=seal)
    assert before == ring_lines(known)
    assert RINGS[1].primary.id == await write(either, offered(RINGS[1]), answer(SECRET))


@pytest.mark.parametrize("status", [500, 503, 302, 401, 429])
async def test_nothing_is_sent_when_a_server_fails(either: Either, known: Path, status: int) -> None:
    """An answer that does not tell whether there is a ring stops the write, too."""
    await write(either, offered(RINGS[0]), answer(SECRET))
    client = either.over(raw(b"", status), seal=True, max_retries=0)
    with pytest.raises(Exception, match=str(status)):
        await settled(update(client))
    assert 1 == len(either.recorder.requests)
    assert 1 == len(ring_lines(known))


async def test_a_client_follows_missed_rotations(either: Either, known: Path) -> None:
    """A client that missed two rotations follows the links, and then refuses older rings."""
    assert RINGS[0].primary.id == await write(either, offered(RINGS[0]), answer(SECRET))
    assert RINGS[3].primary.id == await write(either, offered(RINGS[3]), answer(SECRET))
    assert "its number is 2, the known ring's number is 4" in await write(either, offered(RINGS[1]))
    assert 1 == len(ring_lines(known))


async def test_a_running_client_follows_a_rotation(either: Either, known: Path) -> None:
    """A client whose key is refused as stale asks for the ring again, and checks the answer by the same rule."""
    stale = refusal(400, 10021, source={"pointer": "/key_id"})
    client = either.over(offered(RINGS[0]), answer(SECRET), stale, offered(RINGS[1]), answer(SECRET), seal=True)
    await settled(update(client))
    await settled(update(client))
    assert RINGS[1].primary.id == either.recorder.body["key_id"]
    either.recorder.answers += [stale, offered(FOREIGN)]
    with pytest.raises(SealingError, match="did not sign it"):
        await settled(update(client))
    assert 1 == len(ring_lines(known))


async def test_each_account_and_server_has_its_own_known_ring(either: Either, known: Path) -> None:
    """A known ring of one account or server proves nothing for another."""
    await write(either, offered(RINGS[0]), answer(SECRET))
    assert FOREIGN.primary.id == await write(
        either, offered(FOREIGN), answer(SECRET), base_url="https://other.test/client/v4"
    )
    assert "did not sign" in await write(either, offered(RINGS[0]), base_url="https://OTHER.test:443/client/v4/")
    client = either.over(offered(FOREIGN), answer(SECRET), seal=True)
    await settled(client.workers.scripts.secrets.update("s", account_id="f" * 32, **TEXT))
    assert 3 == len(ring_lines(known))


async def test_a_ring_without_a_signer_is_known_by_its_key(either: Either, known: Path) -> None:
    """A ring without a signer is known by its key; the client accepts its first signer, but no other ring."""
    assert RINGS[0].primary.id == await write(either, offered(UNSIGNED), answer(SECRET))
    assert "made before rings were signed" in await write(either, offered(RINGS[1]))
    assert RINGS[0].primary.id == await write(either, offered(RINGS[0]), answer(SECRET))
    assert RINGS[0].primary.id == await write(either, offered(UNSIGNED), answer(SECRET))
    assert RINGS[1].primary.id == await write(either, offered(RINGS[1]), answer(SECRET))
    assert 1 == len(ring_lines(known))


async def test_a_server_that_never_had_a_ring_gets_unsealed_values(
    either: Either, known: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server without a ring gets unsealed values, which is logged; with a required seal nothing is sent."""
    caplog.set_level(logging.INFO)
    log_unsealed.cache_clear()
    assert "plaintext" == await write(either, refusal(404, 7003), answer(SECRET), base_url="https://bare.test/v4")
    assert "values are sent unsealed: https://bare.test/v4 offers no public ring" in caplog.text
    assert "offers no public ring" in await write(either, refusal(404, 7003), seal="require")
    assert [] == ring_lines(known)


async def test_a_ring_from_a_file_needs_no_server(either: Either, known: Path, tmp_path: Path) -> None:
    """With a ring from a file no server is asked and nothing is remembered; a later ring must follow from it."""
    file, stale = tmp_path / "ring.json", refusal(400, 10021, source={"pointer": "/key_id"})
    RINGS[0].save(file)
    assert RINGS[0].primary.id == await write(either, answer(SECRET), public_ring=file)
    assert RINGS[2].primary.id == await write(either, stale, offered(RINGS[2]), answer(SECRET), public_ring=str(file))
    assert "give the right file" in await write(either, stale, offered(FOREIGN), public_ring=file)
    file.chmod(0o666)
    assert "chmod" in await write(either, public_ring=file)
    assert "cannot be read" in await write(either, public_ring=tmp_path / "absent")
    assert [] == ring_lines(known)


@pytest.mark.parametrize("place", ["file", "nowhere"])
async def test_a_client_without_a_file_pins_in_memory(
    either: Either, known: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """Without a place to remember in, the client warns and pins in memory; a required seal is refused."""
    del known
    (tmp_path / "file").touch()
    settings = {"known_rings": tmp_path / "file" / "known-rings"} if place == "file" else {"known_rings": "/proc/1/x"}
    stale = refusal(400, 10021, source={"pointer": "/key_id"})
    assert RINGS[0].primary.id == await write(either, offered(RINGS[0]), answer(SECRET), **settings)
    assert "in this process only" in caplog.text
    assert "cannot be remembered" in await write(either, offered(RINGS[0]), seal="require", **settings)
    client = either.over(offered(RINGS[0]), answer(SECRET), stale, offered(FOREIGN), seal=True, **settings)
    await settled(update(client))
    with pytest.raises(SealingError, match="did not sign it"):
        await settled(update(client))


async def test_memory_suffices_for_a_required_seal(either: Either, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `:memory:` a required seal is sent, to the first ring that this process saw."""
    monkeypatch.setenv("NIGHTSAFE_KNOWN_RINGS", ":memory:")
    assert RINGS[0].primary.id == await write(either, offered(RINGS[0]), answer(SECRET), seal="require")
    client = either.over(offered(RINGS[0]), answer(SECRET), seal=True)
    await settled(update(client))
    other = client.with_options(known_rings="/nowhere/at/all", seal=False)
    assert other.with_options(seal=False).base_url == client.base_url


def keep_ring_lines(known: Path) -> None:
    """Remove all lines but those about rings."""
    known.write_text("".join(f"{line}\n" for line in ring_lines(known)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text(re.sub(r" 2 \S+ ", " 2 ?? ", file.read_text())),
        lambda file: file.write_text(file.read_text() * 2),
        lambda file: file.write_text(" ".join(file.read_text().split()[:-1])),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.write_bytes(b"#" * (1 << 21)),
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
async def test_nothing_is_sent_with_an_unusable_file(
    either: Either, known: Path, damage: Callable[[Path], object]
) -> None:
    """With a damaged file, or one that others may write, nothing is sent."""
    await write(either, offered(RINGS[1]), answer(SECRET))
    keep_ring_lines(known)
    damage(known)
    for found in (offered(RINGS[1]), refusal(404, 7003)):
        assert "nothing was sent" in await write(either, found)


def annotate(known: Path) -> None:
    """Write a comment above the first line."""
    known.write_text("# mine\n" + known.read_text())


def is_annotated(known: Path) -> bool:
    """Return whether the comment is still there."""
    return known.read_text().startswith("# mine\n")


async def test_the_file_is_private_and_readable(either: Either, known: Path) -> None:
    """The file has mode 0600 in directories of mode 0700, readable lines, and keeps the user's comments."""
    await write(either, offered(RINGS[0]), answer(SECRET))
    assert (0o600, 0o700, 0o700) == tuple(
        path.stat().st_mode & 0o777 for path in (known, known.parent, known.parent.parent)
    )
    annotate(known)
    await write(either, offered(RINGS[1]), answer(SECRET))
    assert is_annotated(known)
    [line] = ring_lines(known)
    assert line.startswith(f"https://safe.test/client/v4 {ACCOUNT} 2 ")


def _keep(path: Path, number: int) -> str:
    """Remember one of several rings as the first, in another process."""
    ring = Identity(1, bytes([number]) * 32, bytes([number]) * 32)
    try:
        KnownRings(path).remember(
            RingOwner("s", "a"), lambda known: ring if known is None else follow(known, ring, ())
        )
        KnownRings(path).remember(RingOwner("s", str(number)), lambda _: ring)
    except NotFollowedError:
        return "refused"
    return "kept"


@pytest.mark.heavy
def test_concurrent_processes_agree_on_the_first_ring(tmp_path: Path) -> None:
    """One process's ring becomes the first, the others' are refused, and no line is lost."""
    path = tmp_path / "folder" / "known-rings"
    with get_context("spawn").Pool(4) as pool:
        done = pool.starmap(_keep, [(path, number) for number in (1, 1, 2, 2)])
    assert {"kept": 2, "refused": 2} == {word: done.count(word) for word in set(done)}
    assert 2 == len(ring_lines(path))


def test_without_a_safe_place_no_ring_is_kept(tmp_path: Path) -> None:
    """Without a home directory there is no file; a file in a directory that others may write is refused."""
    whose, ring = RingOwner("s", "a"), RINGS[0].identity
    with pytest.raises(CannotKeepError):
        KnownRings(None).get(whose)
    with pytest.raises(CannotKeepError):
        KnownRings(None).remember(whose, lambda _: ring)
    tmp_path.chmod(0o777)
    with pytest.raises(UnusableError, match="chmod go-w"):
        KnownRings(tmp_path / "known-rings").remember(whose, lambda _: ring)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("suite", list(Suite))
def test_a_ring_keeps_its_lineage(tmp_path: Path, suite: Suite) -> None:
    """A ring keeps its lineage when it is saved, loaded, retired, removed from and succeeded."""
    private = PrivateRing.generate(suite)
    first = public_ring(private)
    after, second = rotated(private, first)
    file = tmp_path / "ring"
    second.with_retired({private.primary.id}).save(file)
    read = PublicRing.load(file)

    assert second.lineage == read.lineage == read.without({private.primary.id}).lineage
    assert second.identity == follow(first.identity, read.identity, read.lineage.links)
    assert second.lineage == PublicRing(second.keys, number=2).as_successor_of(second).lineage
    third = public_ring(after.rotated(), None, after.primary)
    assert second.identity.signer == third.lineage.links[0].by
    assert 2 == len(third.as_successor_of(second).lineage.links)
