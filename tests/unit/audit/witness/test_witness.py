"""The witness: the statuses of C2SP tlog-witness, and one checkpoint after the other."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.delivery.tools.changing_log import ChangingLog

from nightsafe.audit.witness.key import WitnessKey
from nightsafe.audit.witness.logs import read_logs
from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.audit.witness.state import WitnessState, origin_hash
from nightsafe.audit.witness.witness import SIZE, Witness, WitnessAnswer
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, NoteKey, open_note, read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.verifier_key import ED25519, VerifierKey
from nightsafe.sealing.signing_key import SigningKey

LOG_KEY = SigningKey.generate()
KEY = WitnessKey.generate("witness.example/w1")


class Watched:
    """A log and its witness.

    Args:
        folder: the directory of the witness's state.
    """

    def __init__(self, folder: Path) -> None:
        self.log = ChangingLog(LOG_KEY)
        self.log.grow("first", 3)
        self.folder = folder
        self.state = WitnessState(folder, KEY.verifier_key)
        key = NoteKey(self.log.origin, LOG_KEY.public)
        self.witness = Witness(KEY, self.state, {self.log.origin: [key]}, lambda: 1_700_000_000.5)

    async def request(self, old: int, claimed: int | None = None) -> AddCheckpoint:
        """Return a request with a proof from a size, which may claim another old size."""
        answer = await self.log.log_proof(old)
        note = answer.checkpoint
        return AddCheckpoint(old if claimed is None else claimed, answer.proof, note, read_note(note))

    async def add(self, old: int, claimed: int | None = None) -> WitnessAnswer:
        """Ask the witness to cosign the log's checkpoint."""
        return await self.witness.add_checkpoint((await self.request(old, claimed)).encode())

    def size(self) -> int:
        """Return the size that the witness cosigned last, from the disk."""
        last = WitnessState(self.folder, KEY.verifier_key).last(self.log.origin)
        return last.size if last else 0


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """Return a log of three entries with a witness that has not seen it."""
    return Watched(tmp_path)


async def test_a_growing_log_is_cosigned(watched: Watched) -> None:
    """Each checkpoint of a log that has only grown gets a cosignature of the whole text, and is on the disk then."""
    old = 0
    for size in (3, 4, 8, 21):
        watched.log.grow("more", size - len(watched.log.entries))
        answer = await watched.add(old)
        note = (await watched.log.log_proof(0)).checkpoint + answer.body
        assert (200, size) == (answer.status, watched.size())
        assert [KEY.verifier_key] == list(cosigners_of(note, [KEY.verifier_key]))
        old = size


async def test_each_listed_key_of_a_log_counts(watched: Watched) -> None:
    """A log that several nodes sign in turn is cosigned with the keys of all in the list, and with no other key."""
    watched.log.key = SigningKey.generate()
    assert 403 == (await watched.add(0)).status

    keys = [NoteKey(watched.log.origin, key.public) for key in (LOG_KEY, watched.log.key)]
    watched.witness.logs = {watched.log.origin: keys}
    assert 200 == (await watched.add(0)).status
    watched.log.key = LOG_KEY
    watched.log.grow("more", 1)
    assert 200 == (await watched.add(3)).status


async def test_the_last_checkpoint_is_served(watched: Watched) -> None:
    """The served checkpoint has the log's signature and the cosignature; an unknown log is a 404."""
    name = origin_hash(watched.log.origin)
    assert 404 == watched.witness.checkpoint(name).status
    cosignature = (await watched.add(0)).body
    served = watched.witness.checkpoint(name)

    assert 200 == served.status
    assert served.body.endswith(cosignature)
    assert 3 == open_note(served.body, [NoteKey(watched.log.origin, LOG_KEY.public)]).size
    assert 404 == watched.witness.checkpoint("0" * 64).status


async def test_the_same_checkpoint_is_cosigned_again(watched: Watched) -> None:
    """The same size with the same root is cosigned again; with another root it is a 409."""
    assert 200 == (await watched.add(0)).status
    assert 200 == (await watched.add(3)).status
    watched.log.entries[1] = "forked"

    assert WitnessAnswer(409, b"3\n", SIZE) == await watched.add(3)


async def test_another_old_size_is_a_conflict(watched: Watched) -> None:
    """An old size that is not the last one is a 409 with the last one in its body and the specified type."""
    expected = WitnessAnswer(409, b"0\n", SIZE)
    assert expected == await watched.add(2)
    await watched.add(0)
    watched.log.grow("more", 5)
    for old in (0, 2, 4, 8):
        assert WitnessAnswer(409, b"3\n", SIZE) == await watched.add(old)
    assert 3 == watched.size()


async def test_an_old_size_above_the_checkpoint_is_malformed(watched: Watched) -> None:
    """An old size that is larger than the checkpoint's is a 400."""
    assert 400 == (await watched.add(0, claimed=4)).status


async def test_a_fork_is_not_cosigned(watched: Watched) -> None:
    """A forked log gets no cosignature, however far it grows, and the witness keeps what it has cosigned."""
    await watched.add(0)
    before = watched.state.note(origin_hash(watched.log.origin))
    watched.log.entries[2:] = ["forked"]
    for count in (0, 1, 4, 9):
        watched.log.grow("later", count)
        answer = await watched.add(3)
        assert (422 if count else 409, False) == (answer.status, "—".encode() in answer.body)
    del watched.log.entries[2:]

    assert 400 == (await watched.add(3)).status
    assert before == watched.state.note(origin_hash(watched.log.origin))


async def test_a_proof_must_be_exact(watched: Watched) -> None:
    """A proof from 0 that is not empty, one with a hash too few or too many, or a wrong one is a 422."""
    request = await watched.request(0)
    more = request._replace(proof=(bytes(32),))
    assert 422 == (await watched.witness.add_checkpoint(more.encode())).status
    await watched.add(0)
    watched.log.grow("more", 4)
    right = await watched.request(3)
    for proof in (right.proof[:-1], (*right.proof, bytes(32)), (bytes(32), *right.proof[1:]), ()):
        assert 422 == (await watched.witness.add_checkpoint(right._replace(proof=proof).encode())).status

    assert 200 == (await watched.witness.add_checkpoint(right.encode())).status


async def test_an_empty_log_has_the_empty_root(watched: Watched) -> None:
    """A checkpoint of size 0 is cosigned only with the root of the empty tree."""
    for root, status in ((bytes(32), 422), (Checkpoint.parse(EMPTY).root, 200)):
        text = Checkpoint(watched.log.origin, 0, root).text()
        key = NoteKey(watched.log.origin, LOG_KEY.public)
        note = text + b"\n" + key.line(LOG_KEY.sign_message(text))
        assert status == (await watched.witness.add_checkpoint(b"old 0\n\n" + note)).status


EMPTY = b"x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


async def test_an_unknown_log_is_not_found(watched: Watched) -> None:
    """A checkpoint of a log that is not listed is a 404, whatever its signature."""
    watched.log.origin = "example.com/unlisted"

    assert 404 == (await watched.add(0)).status


async def test_a_checkpoint_needs_the_logs_signature(watched: Watched) -> None:
    """A checkpoint without a valid signature of the log is a 403: unsigned, by another key, or damaged."""
    request = await watched.request(0)
    text = request.checkpoint.text()
    other = NoteKey(watched.log.origin, SigningKey.generate().public)
    own = NoteKey(watched.log.origin, LOG_KEY.public)
    for line in (other.line(LOG_KEY.sign_message(text)), own.line(bytes(64))):
        body = request._replace(note=text + b"\n" + line).encode()
        assert 403 == (await watched.witness.add_checkpoint(body)).status
    both = text + b"\n" + other.line(bytes(64)) + own.line(LOG_KEY.sign_message(text))

    assert 200 == (await watched.witness.add_checkpoint(request._replace(note=both).encode())).status
    assert other.line(bytes(64)) not in watched.witness.checkpoint(origin_hash(watched.log.origin)).body


@pytest.mark.parametrize(
    "change",
    [
        (b"old 0\n", b""), (b"old 0\n", b"old 00\n"), (b"old 0\n", b"old -1\n"), (b"old 0\n", b"old  0\n"),
        (b"old 0\n", b"Old 0\n"), (b"old 0\n", b"old 0\r\n"), (b"old 0\n", b"old 99999999999999999999\n"),
        (b"old 0\n", b"old 0\nAAAA\n"), (b"old 0\n", b"old 0\n" + b"!" * 44 + b"\n"),
        (b"old 0\n", b"old 0\n" + (b"A" * 43 + b"=\n") * 64), (b"\n3\n", b"\n03\n"), (b"\n3\n", b"\nthree\n"),
        (b"nightsafe/test\n3", b"nightsafe/\ttest\n3"), (b"\n\n", b"\n"), ("—".encode(), b"-"), (b"test", b"\xff"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused(watched: Watched, change: tuple[bytes, bytes]) -> None:
    """A body that is not exactly of the specified form is a 400, and nothing is cosigned."""
    body = (await watched.request(0)).encode()
    before, after = change
    assert before in body
    answer = await watched.witness.add_checkpoint(body.replace(before, after))

    assert (400, 0) == (answer.status, watched.size())


async def test_the_example_of_the_specification_is_parsed() -> None:
    """The example request of tlog-witness is parsed, with its four hashes and two signatures, and written alike."""
    body = (Path(__file__).parent / "add-checkpoint.txt").read_bytes()
    request = AddCheckpoint.parse(body)

    assert (20852014, 4, 20852163) == (request.old, len(request.proof), request.checkpoint.size)
    assert body == request.encode()


async def test_requests_at_once_do_not_roll_back(watched: Watched) -> None:
    """Of requests at once for one old size, one is cosigned; the others get a 409 with the new size.

    So the request of the specification's race, with a smaller checkpoint that arrives first and is written last,
    cannot take the state back.
    """
    await watched.add(0)
    requests = []
    for _ in range(6):
        watched.log.grow("more", 1)
        requests.append(await watched.request(3))
    answers = await asyncio.gather(*(watched.witness.add_checkpoint(one.encode()) for one in requests))

    assert [200] == [answer.status for answer in answers if answer.status != 409]
    [size] = {int(answer.body) for answer in answers if answer.status == 409}
    assert size == watched.size() > 3


async def test_a_caller_that_goes_away_leaves_a_whole_step(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose caller goes away is finished before the next one, which then sees its checkpoint."""
    loop, writing, real = asyncio.get_running_loop(), asyncio.Event(), watched.state.keep

    def keep(origin: str, note: bytes) -> None:
        """Report that the write begins."""
        loop.call_soon_threadsafe(writing.set)
        real(origin, note)

    monkeypatch.setattr(watched.state, "keep", keep)
    first = asyncio.create_task(watched.add(0))
    await writing.wait()
    first.cancel()
    watched.log.grow("more", 2)
    answer = await watched.add(0)

    assert (409, b"3\n") == (answer.status, answer.body)


async def test_a_failed_write_gives_no_cosignature(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checkpoint on the disk there is no answer with a cosignature."""

    def full(*_: object, **__: object) -> None:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nightsafe.audit.witness.state.files.write", full)
    with pytest.raises(OSError, match="No space"):
        await watched.add(0)

    assert 0 == watched.size()


async def test_a_damaged_state_is_refused(watched: Watched) -> None:
    """A state file that this witness has not written, or not for this log, is refused and not read as empty."""
    await watched.add(0)
    path = watched.folder / f"{origin_hash(watched.log.origin)}.checkpoint"
    good = path.read_bytes()
    for content in (b"", good.replace(b"\n3\n", b"\n2\n"), (await watched.log.log_proof(0)).checkpoint):
        path.write_bytes(content)
        with pytest.raises(NightsafeError, match="put the file back"):
            await watched.add(0)


def test_one_process_uses_the_state(tmp_path: Path) -> None:
    """A second process with the same directory is refused until the first one releases it."""
    first, second = (WitnessState(tmp_path, KEY.verifier_key) for _ in range(2))
    first.acquire()
    with pytest.raises(NightsafeError, match="stop it first"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_the_key_file_is_read_again(tmp_path: Path) -> None:
    """A key has the same name and key after a save, its file is private, and damage is refused without the key."""
    path = tmp_path / "key.json"
    KEY.save(path)
    again = WitnessKey.load(path)
    assert (KEY.verifier_key, 0o600) == (again.verifier_key, path.stat().st_mode & 0o777)
    assert "private" not in repr(again)

    for content in (b"{}", path.read_bytes().replace(b"witness.example/w1", b"a name"), b'{"format":"x"}'):
        with pytest.raises(NightsafeError):
            WitnessKey.decode(content)


def test_the_list_of_logs(tmp_path: Path) -> None:
    """The list has one key a line, with comments; a log may have several keys, and a wrong line is named."""
    path = tmp_path / "logs.txt"
    first, second = (VerifierKey("example.com/log", ED25519, SigningKey.generate().public) for _ in range(2))
    path.write_text(f"# comment\n\n{first.encode()}\n  {second.encode()}\n")
    path.chmod(0o644)
    assert {"example.com/log": [first.note_key(), second.note_key()]} == read_logs(path)

    path.write_text(f"{first.encode()}\n{KEY.verifier_key.encode()}\n")
    with pytest.raises(NightsafeError, match=r"logs.txt, line 2: .*type 1"):
        read_logs(path)
    path.write_text(f"{first.encode()}\n{first.encode()}\n")
    with pytest.raises(NightsafeError, match="there twice"):
        read_logs(path)
