"""`serve --witness` with a real witness: the cosignatures, and delivery that requires them."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests import workers
from tests.clients.cli.witness.test_witness import WitnessServer
from tests.clients.wire.talk import Wire
from tests.live.tools.running import new_token, until
from tests.server import Safe, Server, run

from nightsafe.audit.witness.state import origin_hash
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.http import HttpSource
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.source.witnesses import RequiredWitnesses
from nightsafe.errors import NightsafeError
from nightsafe.merkle.checkpoint import Checkpoint, open_note, read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.verifier_key import ED25519, VerifierKey
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys


def checkpoint(server: Server) -> bytes:
    """Return the signed note that the API shows."""
    headers = {"Authorization": f"Bearer {server.safe.api_token}"}
    answer = httpx.get(f"{server.base_url}/nightsafe/log/checkpoint", headers=headers)
    assert 200 == answer.status_code, answer.text
    return answer.content


def log_key(server: Server) -> VerifierKey:
    """Return the verifier key of the server's log."""
    public = SigningKey.load(server.safe.path / "keys" / "signing-key.json").public
    return VerifierKey(read_note(checkpoint(server)).origin, ED25519, public)


def grow(safe: Safe) -> None:
    """Append an entry to the log of a safe."""
    new_token(safe)


@pytest.fixture
def witness(tmp_path: Path, safe: Safe) -> Iterator[WitnessServer]:
    """Yield a running witness of the safe's log."""
    made = WitnessServer(tmp_path / "witness")
    with Server(safe) as server, made.logs.open("a") as file:
        file.write(log_key(server).encode() + "\n")
    with made:
        yield made


@pytest.fixture
def witnessed(witness: WitnessServer, safe: Safe) -> Iterator[Server]:
    """Yield a server of the safe that asks the witness."""
    with Server(safe, "--witness", f"{witness.base_url}={witness.key.encode()}") as server:
        yield server


def problems(server: Server) -> list[str]:
    """Return the reasons why the witness does not cosign, from the server's log."""
    lines = [json.loads(line) for line in server.stderr.read_text().splitlines() if line.startswith("{")]
    return [line["reason"] for line in lines if line["event"] == "witness.problem"]


def checked(server: Server, witness: WitnessServer, marks: Path) -> Checkpoint:
    """Check the API's log as a delivery process that requires the witness; return what it has seen.

    Raises:
        NightsafeError: when delivery refuses the log.
    """

    async def check() -> Checkpoint:
        """Check the log once."""
        safe = server.safe
        source = HttpSource(server.base_url, new_token(safe), safe.account_id)
        serials, verifier = Serials(marks), VerifyKeys.load(safe.path / "keys" / "verify-keys.json")
        required = RequiredWitnesses(1, (witness.key,))
        try:
            await LogCheck(safe.account_id, source, verifier, serials, required).check()
        finally:
            await source.close()
        await serials.flush()
        seen = serials.log(safe.account_id)
        assert seen is not None
        return Checkpoint(seen.origin, seen.size, seen.root)

    return asyncio.run(check())


def test_each_checkpoint_is_cosigned(witness: WitnessServer, witnessed: Server, tmp_path: Path) -> None:
    """The API shows the cosignature on its checkpoint, also for later commits and after a restart of both."""
    for restart in (False, True):
        if restart:
            witness.stop()
            witness.start_at(int(witness_port(witnessed)))
            witnessed.stop()
            witnessed.start()
        for _ in range(2):
            grow(witnessed.safe)
            size = read_note(checkpoint(witnessed)).size
            note = until(lambda: cosigners_of(checkpoint(witnessed), [witness.key]) and checkpoint(witnessed))
            assert size <= open_note(note, [log_key(witnessed).note_key()]).size
        assert checked(witnessed, witness, tmp_path / f"marks-{restart}.json").size >= size

    assert [] == problems(witnessed)


def witness_port(server: Server) -> str:
    """Return the port of the witness in a server's command line."""
    return server._command[server._command.index("--witness") + 1].partition("=")[0].rpartition(":")[2]


def test_each_api_process_has_the_cosignatures(witness: WitnessServer, safe: Safe) -> None:
    """Of two API processes the first asks the witness, and each shows the cosignature."""
    options = ("--workers", "2", "--witness", f"{witness.base_url}={witness.key.encode()}")
    with Server(safe, *options) as server:
        grow(safe)
        for pid in workers.pids(server):
            with workers.wire_to(server, pid) as wire:
                until(partial(_is_cosigned, wire, witness))


def _is_cosigned(wire: Wire, witness: WitnessServer) -> bool:
    """Return whether the note that an API process shows has the witness's cosignature."""
    note = wire.ask("GET", "/client/v4/nightsafe/log/checkpoint").body
    return bool(cosigners_of(note, [witness.key]))


def test_without_cosignatures_delivery_takes_nothing(witness: WitnessServer, safe: Safe, tmp_path: Path) -> None:
    """Delivery that requires a witness refuses a log without cosignatures, and takes it once there is one."""
    with Server(safe) as server:
        grow(safe)
        with pytest.raises(NightsafeError, match="no checkpoint that 1 of the required witnesses have cosigned"):
            checked(server, witness, tmp_path / "marks.json")
    with Server(safe, "--witness", f"{witness.base_url}={witness.key.encode()}", cold=True) as server:
        until(lambda: cosigners_of(checkpoint(server), [witness.key]))
        assert checked(server, witness, tmp_path / "marks.json").size > 0


def test_a_put_back_database_gets_no_cosignature(witness: WitnessServer, witnessed: Server, tmp_path: Path) -> None:
    """After a put-back, the witness cosigns nothing at any size, and a new delivery process takes nothing either."""
    safe = witnessed.safe
    grow(safe)
    until(lambda: cosigners_of(checkpoint(witnessed), [witness.key]))
    witnessed.stop()
    shutil.copy(safe.database, tmp_path / "older.db")
    witnessed.start()
    for _ in range(2):
        grow(safe)
    until(lambda: cosigners_of(checkpoint(witnessed), [witness.key]))
    witnessed.stop()
    for part in ("-wal", "-shm"):
        safe.database.with_name(f"nightsafe.db{part}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.db", safe.database)
    witnessed.start()
    until(lambda: any("seen a larger log" in reason for reason in problems(witnessed)))
    for _ in range(4):
        grow(safe)
    until(lambda: any("put back" in reason for reason in problems(witnessed)))

    assert {} == cosigners_of(checkpoint(witnessed), [witness.key])
    with pytest.raises(NightsafeError, match="have cosigned"):
        checked(witnessed, witness, tmp_path / "new-marks.json")


def test_a_witness_that_is_away_is_reported(safe: Safe, tmp_path: Path) -> None:
    """While a witness does not answer, writes go on at once, and the log says why its cosignature is missing."""
    away = WitnessServer(tmp_path / "witness")
    with Server(safe, "--witness", f"http://127.0.0.1:1={away.key.encode()}") as server:
        grow(safe)
        until(lambda: any("cannot be reached" in reason for reason in problems(server)))
        assert {} == cosigners_of(checkpoint(server), [away.key])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("https://witness.example", "give URL=VKEY"),
        ("https://witness.example=nonsense", "not a verifier key"),
        ("http://witness.example={key}", "give https://"),
        ("ftp://witness.example={key}", "must begin with https://"),
        ("https://user@witness.example={key}", "no user"),
        ("https://witness.example:0={key}", "must begin with https://"),
    ],
)
def test_a_witness_that_cannot_be_used_is_refused(safe: Safe, tmp_path: Path, value: str, words: str) -> None:
    """`serve` refuses a witness with another form, before it starts, and says what to give."""
    key = WitnessServer(tmp_path / "witness").key.encode()
    done = run("serve", "--data", str(safe.path), "--witness", value.replace("{key}", key), cwd=tmp_path)

    assert (2, True) == (done.returncode, words in done.stderr), done.stderr


def test_delivery_needs_enough_keys(safe: Safe, tmp_path: Path) -> None:
    """`deliver` refuses to require more witnesses than it has keys of, or witnesses without a file of keys."""
    keys, token = tmp_path / "keys", tmp_path / "token"
    keys.write_text(WitnessServer(tmp_path / "witness").key.encode() + "\n")
    keys.chmod(0o644)
    token.touch(0o600)
    token.write_text("nst_x")
    line = ("deliver", "--token-file", str(token), "--private-ring", str(safe.private_ring), "--account-id", "a" * 32,
            "--verify-keys", str(safe.path / "keys" / "verify-keys.json"), "--require-witness")  # fmt: skip
    few = run(*line, "2", "--witness-keys", str(keys), cwd=tmp_path)
    none = run(*line, "1", cwd=tmp_path)

    assert (1, True) == (few.returncode, "has only 1 keys" in few.stderr), few.stderr
    assert (2, True) == (none.returncode, "--witness-keys" in none.stderr), none.stderr


def test_a_witness_follows_an_api_by_itself(safe: Safe, tmp_path: Path) -> None:
    """With `--follow` a witness cosigns the log of an API that does not know it; its token can only read the log."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(safe.api_token)
    with Server(safe) as server:
        for _ in range(3):
            grow(safe)
        witness = WitnessServer(tmp_path / "witness", "--follow", server.base_url, "--token-file", str(token))
        with witness.logs.open("a") as file:
            file.write(log_key(server).encode() + "\n")
        note = checkpoint(server)
        with witness:
            url = f"{witness.base_url}/{origin_hash(read_note(note).origin)}/checkpoint"
            until(lambda: httpx.get(url).status_code == 200)
            cosigned = httpx.get(url).content
    assert cosigned.startswith(note)
    assert [witness.key] == list(cosigners_of(cosigned, [witness.key]))

    token.write_text("nst_unknown")
    with Server(safe) as server:
        witness._command[witness._command.index("--follow") + 1] = server.base_url
        with witness:
            until(lambda: "it needs the permission Account Settings Read" in witness.stderr.read_text())


def test_following_needs_a_token_and_tls(tmp_path: Path) -> None:
    """`--follow` without a token, or with an API on another machine without TLS, is refused."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("nst_x")
    WitnessServer(tmp_path / "w")
    line = ("audit", "witness", "serve", "--dir", str(tmp_path / "w"), "--follow")
    for url, words in (("http://safe.example/client/v4", "give https://"), ("nonsense", "give an API's URL")):
        done = run(*line, url, "--token-file", str(token), cwd=tmp_path)
        assert (1, True) == (done.returncode, words in done.stderr), done.stderr
    alone = run(*line, "https://safe.example/client/v4", cwd=tmp_path)
    assert (2, True) == (alone.returncode, "needs --token-file" in alone.stderr)
