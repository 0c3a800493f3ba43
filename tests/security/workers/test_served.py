"""Attacks on a whole `nightsafe run`: from inside the API process, on the database, and from another process."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from tests.live.tools.running import HELLO, Run, put, secret, until, upload, wire_of
from tests.server import make_safe

INSIDE = """
import gc, os, sys
def attack(phase, _):
    if phase == "stop" and "api_child" in " ".join(sys.orig_argv):
        try:
            os.close(os.open(os.environ["RING"], os.O_RDONLY))
            said = "read"
        except OSError as error:
            said = f"refused {error.errno}"
        os.write(2, f"attack from within: {said}\\n".encode())
gc.callbacks.append(attack)
"""
"""Attack that runs in the API process, in its serving threads, each time Python collects garbage."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield `nightsafe run` with an attacker's code in the API process."""
    folder, safe = tmp_path_factory.mktemp("inside"), make_safe(tmp_path_factory.mktemp("served"))
    (folder / "sitecustomize.py").write_text(INSIDE)
    with Run(safe, environ={"PYTHONPATH": str(folder), "RING": str(safe.private_ring)}) as running:
        yield running


def said(served: Run) -> list[str]:
    """Return the results that the attacker's code in the API process has printed."""
    lines = served.stderr.read_text().splitlines()
    return [line.partition(": ")[2] for line in lines if line.startswith("attack from within")]


def test_the_api_cannot_read_the_private_ring(served: Run) -> None:
    """Under `nightsafe run`, Landlock keeps the API process from reading the private ring.

    The process runs as a user who may read the file, and could read it before it confined itself.
    """
    before = said(served)
    with wire_of(served) as wire:
        until(lambda: len(said(served)) > len(before) or not upload(wire, "busy"))

    assert {"refused 13"} == set(said(served)[len(before) :])
    assert "read" == before[0]


@contextmanager
def database(served: Run) -> Iterator[sqlite3.Connection]:
    """Open the database for writing, and commit the changes at the end; the next put makes a version of them."""
    with closing(sqlite3.connect(served.safe.database)) as db, db:
        yield db


READ = "SELECT sealed, since, stated_in, position, digest FROM bindings WHERE script = ?"
WRITE = "UPDATE bindings SET (sealed, since, stated_in, position, digest) = (?, ?, ?, ?, ?) WHERE script = ?"
"""Reads and writes a sealed value, with all columns that statements cover or that lead to its proof."""


def test_an_older_record_is_not_built_on(served: Run) -> None:
    """A lawful write never signs what something else has put into the database: it is refused, or delivery refuses
    the script, or the write has replaced all that was changed.

    The attacker puts an older row of a binding back with its proof; the next write to the script is refused.
    """
    with wire_of(served) as wire:
        upload(wire, "back", HELLO, secret("TOKEN", "older"))
        with database(served) as db:
            older = db.execute(READ, ("back",)).fetchone()
        put(wire, "back", "TOKEN", "newer")
        assert "newer" == served.workers.text("back")
        with database(served) as db:
            db.execute(WRITE, (*older, "back"))
        with pytest.raises(AssertionError):
            put(wire, "back", "SECOND", "makes no version")

        assert "newer" == served.workers.text("back")


@pytest.mark.parametrize("attack", ["flip", "move", "move with its proof"])
def test_a_moved_or_forged_record_is_not_served(served: Run, attack: str) -> None:
    """With write access to the database, an attacker can delete a record or a credential, put an older state of a
    credential back, or show an older state of a script to a delivery process that has not served a newer one, but
    cannot change what a script is delivered with, move a record to another place, forge one, or give anybody other
    rights.

    Nightsafe goes on with the last good state of the script, names the binding in the log, and serves other scripts.
    """
    thief, victim = f"thief-{attack[-5:]}", f"victim-{attack[-5:]}"
    with wire_of(served) as wire:
        for name in (thief, victim):
            upload(wire, name, HELLO, secret("TOKEN", f"of {name}"))
        with database(served) as db:
            own, (sealed, *proof) = (db.execute(READ, (name,)).fetchone() for name in (thief, victim))
            if attack == "flip":
                sealed = own[0][:-1] + bytes([own[0][-1] ^ 1])
            db.execute(WRITE, (sealed, *(proof if attack == "move with its proof" else own[1:]), thief))
        put(wire, thief, "SECOND", "makes a version")

        words = "the value of the binding 'TOKEN' is not what was signed when it was put"
        until(lambda: [line for line in served.stderr.read_text().splitlines() if words in line and thief in line])
        assert f"of {thief}" == served.workers.text(thief)
        assert f"of {victim}" == served.workers.text(victim)


SOMEBODY = """
import ctypes, os, sys
from nightsafe.delivery.process_memory import protect_process
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable, like a process that was never root
"""
OPENING = """
if sys.argv[1] == "protected":
    protect_process()
print(flush=True)
sys.stdin.read()
"""
LOOKING = """
for name in ("environ", "mem"):
    try:
        os.close(os.open(f"/proc/{sys.argv[1]}/{name}", os.O_RDONLY))
        print(f"{name} opened")
    except OSError as error:
        print(f"{name} refused {error.errno}")
"""


def looked_into(kind: str) -> list[str]:
    """Let a process open the memory and environment of another of its user, who is not root; return the results."""
    opening = [sys.executable, "-c", SOMEBODY + OPENING, kind]
    with subprocess.Popen(opening, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()
        looking = [sys.executable, "-c", SOMEBODY + LOOKING, str(process.pid)]
        done = subprocess.run(looking, check=True, capture_output=True, text=True)
        process.stdin.close()
    return done.stdout.splitlines()


def test_the_memory_of_an_opening_process_is_closed() -> None:
    """No other process of the same user can look into the memory of a process that opens values.

    It cannot read the environment either; of an unprotected process, it can read at least the environment.
    """
    assert ["environ refused 13", "mem refused 13"] == looked_into("protected")
    assert "environ opened" in looked_into("plain")
