"""`nightsafe audit witness` as a process: a real server, real requests, restarts and two processes."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.live.tools.running import until
from tests.server import Safe, Server, run
from tests.unit.delivery.tools.changing_log import ChangingLog

from nightsafe.audit.witness.request import AddCheckpoint
from nightsafe.audit.witness.state import origin_hash
from nightsafe.merkle.checkpoint import read_note
from nightsafe.merkle.cosignature import cosigners_of
from nightsafe.merkle.proofs import consistency_proof
from nightsafe.merkle.tree import leaf_hash, root_of
from nightsafe.merkle.verifier_key import COSIGNATURE, ED25519, VerifierKey
from nightsafe.sealing.signing_key import SigningKey

KEY = SigningKey.generate()


class WitnessServer(Server):
    """A witness with a directory of its own.

    Args:
        folder: the directory, which is created.
        options: further options of the command.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        made = run("audit", "witness", "init", "--dir", str(folder), "--name", "witness.example/w1", "--json",
                   cwd=folder.parent)  # fmt: skip
        assert (0, "") == (made.returncode, made.stderr)
        answer = json.loads(made.stdout)
        self.key = VerifierKey.parse(answer["verifier_key"], COSIGNATURE)
        self.logs = Path(answer["logs"])
        nobody = Safe(path=folder, account_id="", api_token="", email="", api_key="")
        super().__init__(nobody, command="audit")
        self.folder = folder
        self.stdout, self.stderr = folder / "stdout.log", folder / "stderr.log"
        at = self._command.index("audit")
        self._command = [*self._command[: at + 1], "witness", "serve", "--dir", str(folder), "--port", "0", *options]

    def accept(self, log: ChangingLog) -> None:
        """Add a log to the list."""
        with self.logs.open("a") as file:
            file.write(VerifierKey(log.origin, ED25519, log.key.public).encode() + "\n")


def request(log: ChangingLog, old: int) -> bytes:
    """Return a request to cosign a log's checkpoint, with a proof from an older size."""
    leaves = [leaf_hash(entry.encode()) for entry in log.entries]
    text = log.checkpoint().text()
    signer = VerifierKey(log.origin, ED25519, log.key.public).note_key()
    note = text + b"\n" + signer.line(log.key.sign_message(text))
    proof = consistency_proof(
        old, len(leaves), lambda height, index: root_of(leaves[index << height : (index + 1) << height])
    )
    return AddCheckpoint(old, tuple(proof), note, read_note(note)).encode()


@pytest.fixture
def log() -> ChangingLog:
    """Return a log of three entries."""
    made = ChangingLog(KEY)
    made.grow("first", 3)
    return made


@pytest.fixture
def witness(tmp_path: Path, log: ChangingLog) -> Iterator[WitnessServer]:
    """Yield a running witness of the log."""
    made = WitnessServer(tmp_path / "witness")
    made.accept(log)
    with made:
        yield made


def add(witness: WitnessServer, body: bytes) -> httpx.Response:
    """Send a request to cosign."""
    return httpx.post(f"{witness.base_url}/add-checkpoint", content=body)


def test_a_witness_cosigns_and_remembers(witness: WitnessServer, log: ChangingLog) -> None:
    """The witness answers as specified, serves what it cosigned, and remembers it after a restart and a kill."""
    first = add(witness, request(log, 0))
    note = request(log, 0).partition(b"\n\n")[2]
    assert 200 == first.status_code
    assert [witness.key] == list(cosigners_of(note + first.content, [witness.key]))
    served = httpx.get(f"{witness.base_url}/{origin_hash(log.origin)}/checkpoint")
    assert (200, note + first.content) == (served.status_code, served.content)

    witness.kill()
    witness.start()
    log.grow("more", 2)
    stale = add(witness, request(log, 0))
    assert (409, b"3\n", "text/x.tlog.size") == (stale.status_code, stale.content, stale.headers["content-type"])
    assert 200 == add(witness, request(log, 3)).status_code


def test_a_fork_gets_no_cosignature(witness: WitnessServer, log: ChangingLog) -> None:
    """A fork is a 422 at every size, also after a restart, and the log of the witness names it."""
    assert 200 == add(witness, request(log, 0)).status_code
    log.entries[1] = "forked"
    for _ in range(2):
        log.grow("later", 2)
        answer = add(witness, request(log, 3))
        assert (422, False) == (answer.status_code, "—" in answer.text)
        assert 0 == witness.stop()
        witness.start()
    lines = [json.loads(line) for line in witness.stderr.read_text().splitlines()]

    assert {("witness.refused", log.origin)} == {(line["event"], line["log"]) for line in lines}


def test_other_requests_are_refused(witness: WitnessServer, log: ChangingLog) -> None:
    """Unknown logs, wrong signatures, malformed bodies, other paths and methods get the specified statuses."""
    url, unknown = witness.base_url, ChangingLog(SigningKey.generate())
    unknown.grow("entry", 1)
    assert 403 == add(witness, request(unknown, 0)).status_code
    unknown.origin = "example.com/other"
    assert 404 == add(witness, request(unknown, 0)).status_code
    assert 400 == add(witness, b"").status_code
    assert 400 == add(witness, b"old 0\n\n" + b"x" * 200_000).status_code
    assert 404 == httpx.get(f"{url}/{origin_hash(log.origin)}/checkpoint").status_code
    assert 404 == httpx.get(f"{url}/{'0' * 63}/checkpoint").status_code
    assert 404 == httpx.post(f"{url}/sign-subtree").status_code
    assert (405, "POST") == (
        httpx.get(f"{url}/add-checkpoint").status_code,
        httpx.put(f"{url}/add-checkpoint").headers["allow"],
    )
    assert 405 == httpx.post(f"{url}/{'0' * 64}/checkpoint").status_code


def test_many_requests_at_once_cosign_one(witness: WitnessServer, log: ChangingLog) -> None:
    """Of many connections that ask at once from the same size, one gets a cosignature; no later one goes back."""
    bodies = []
    for _ in range(12):
        log.grow("more", 1)
        bodies.append(request(log, 0))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: add(witness, body), bodies))

    assert 1 == sum(answer.status_code == 200 for answer in answers)
    assert 1 == len({answer.content for answer in answers if answer.status_code == 409})


def test_the_list_of_logs_is_reloaded(witness: WitnessServer) -> None:
    """After SIGHUP the witness knows new logs; a list that cannot be used changes nothing, and its log says so."""
    other = ChangingLog(KEY)
    other.origin = "example.com/other"
    other.grow("entry", 2)
    witness.accept(other)
    assert 404 == add(witness, request(other, 0)).status_code
    os.kill(witness.pid, signal.SIGHUP)
    until(lambda: add(witness, request(other, 0)).status_code != 404)
    assert 200 == add(witness, request(other, 2)).status_code

    with witness.logs.open("a") as file:
        file.write("not a key\n")
    os.kill(witness.pid, signal.SIGHUP)
    until(lambda: "logs.txt, line 4: not a verifier key" in witness.stderr.read_text())
    assert 200 == add(witness, request(other, 2)).status_code


def test_a_second_process_is_refused(witness: WitnessServer, log: ChangingLog) -> None:
    """A second server or `forget` of the same witness is refused while the first one runs."""
    folder = str(witness.folder)
    again = run("audit", "witness", "serve", "--dir", folder, "--port", "0", cwd=witness.folder)
    forget = run("audit", "witness", "forget", "--dir", folder, log.origin, "--yes", cwd=witness.folder)

    for refused in (again, forget):
        assert (1, True) == (refused.returncode, "stop it first" in refused.stderr)


def test_a_forgotten_log_starts_over(witness: WitnessServer, log: ChangingLog) -> None:
    """`forget` needs `--yes` or a terminal; after it the witness cosigns whatever the log shows first."""
    assert 200 == add(witness, request(log, 0)).status_code
    log.entries[1] = "restored"
    witness.stop()
    line = ("audit", "witness", "forget", "--dir", str(witness.folder))
    alone = run(*line, log.origin, cwd=witness.folder)
    assert (2, True) == (alone.returncode, "cosigned last at 3 entries" in alone.stderr)
    assert 1 == run(*line, "example.com/never", "--yes", cwd=witness.folder).returncode
    assert 0 == run(*line, log.origin, "--yes", cwd=witness.folder).returncode
    witness.start()

    assert 200 == add(witness, request(log, 0)).status_code


def test_a_witness_is_created_once(tmp_path: Path) -> None:
    """`init` prints the verifier key, makes a private key file, and does not replace a key; bad names are refused."""
    line = ("audit", "witness", "init", "--dir", str(tmp_path / "w"), "--name")
    made = run(*line, "witness.example/w1", cwd=tmp_path)
    assert re.fullmatch(r"witness\.example/w1\+[0-9a-f]{8}\+B[A-Za-z0-9+/=]+\n", made.stdout)
    key = tmp_path / "w" / "witness-key.json"
    assert 0o600 == key.stat().st_mode & 0o777
    before = key.read_bytes()

    assert (1, before) == (run(*line, "witness.example/w2", cwd=tmp_path).returncode, key.read_bytes())
    assert 2 == run(*line, "a name", cwd=tmp_path).returncode
    none = run("audit", "witness", "serve", "--dir", str(tmp_path / "none"), cwd=tmp_path)
    assert (1, True) == (none.returncode, "nightsafe audit witness init" in none.stderr)
    plain = run("audit", "witness", "serve", "--dir", str(tmp_path / "w"), "--host", "192.0.2.1", cwd=tmp_path)
    assert (1, True) == (plain.returncode, "--plain-http" in plain.stderr)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("https://witness.example/w1", "give the name without a scheme such as https://"),
        ("a b", "without spaces and plus signs"),
        ("a+b", "without spaces and plus signs"),
    ],
)
def test_a_name_that_notes_cannot_use_is_refused(tmp_path: Path, name: str, words: str) -> None:
    """A name with a scheme, a space or a plus sign is refused before anything is created (C2SP signed-note)."""
    done = run("audit", "witness", "init", "--dir", "witness", "--name", name, cwd=tmp_path)

    assert (2, True) == (done.returncode, words in done.stderr)
    assert [] == [*tmp_path.iterdir()]


def test_an_address_of_other_machines_needs_tls(tmp_path: Path) -> None:
    """Without TLS, `serve` refuses an address that other machines reach, and names each way out."""
    made = run("audit", "witness", "init", "--dir", "witness", "--name", "witness.example/w1", cwd=tmp_path)
    done = run("audit", "witness", "serve", "--dir", "witness", "--host", "0.0.0.0", cwd=tmp_path)  # noqa: S104 - refused

    assert (0, 1) == (made.returncode, done.returncode)
    for way in ("--tls-cert and --tls-key", "--plain-http", "leave out --host"):
        assert way in done.stderr
