"""The one lock of a data directory: who uses it, who puts another in its place, and what is locked after that."""

import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.exchange import CannotExchangeError, exchange
from nightsafe.cli.data_directory.lock import NOTHING, alone, release, shared, take
from nightsafe.cli.data_directory.recovery import safes_of
from nightsafe.errors import Code, NightsafeError


def is_free(path: Path) -> bool:
    """Whether a directory could be had alone now."""
    lock = take(path, fcntl.LOCK_EX)
    if lock is None:
        return False
    release(lock)
    return True


def test_users_share_it_and_nobody_else_has_it(tmp_path: Path) -> None:
    """Any number use it at once; who wants it alone is told which process does, and gets it when they are gone."""
    with shared(tmp_path), shared(tmp_path):
        with (
            pytest.raises(NightsafeError, match=r"is in use by process \d+; stop that first") as refused,
            alone(tmp_path, 0),
        ):
            pass
        assert Code.UNAVAILABLE == refused.value.code
    with alone(tmp_path, 0):
        with pytest.raises(NightsafeError, match="another process is creating or restoring"), shared(tmp_path, 0):
            pass
        assert not is_free(tmp_path)
    assert is_free(tmp_path)


def test_there_is_nothing_to_hold(tmp_path: Path) -> None:
    """Where there is no directory, or a file, nobody is kept from finding that out."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file", tmp_path / "file" / "below"):
        assert NOTHING == take(path, fcntl.LOCK_EX)
        with shared(path), alone(path):
            assert [tmp_path / "file"] == list(tmp_path.iterdir())


def test_it_leaves_no_file(tmp_path: Path) -> None:
    """It is the directory's own: there is nothing that could be left behind, copied or exchanged."""
    with shared(tmp_path):
        assert [] == list(tmp_path.iterdir())


def test_what_is_at_the_path_is_locked(tmp_path: Path) -> None:
    """Who waits while the directory is exchanged gets a lock of the new one, not of the one that was put aside."""
    old, new = tmp_path / "data", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    opened, left = threading.Event(), threading.Event()

    def use() -> None:
        """Wait for the directory, and use it until told to leave it."""
        with shared(old, 60):
            opened.set()
            left.wait(60)

    user = threading.Thread(target=use)
    with alone(old), alone(new):
        user.start()
        exchange(new, old)
    assert opened.wait(60)

    assert (False, True) == (is_free(tmp_path / "data"), is_free(tmp_path / "new"))
    left.set()
    user.join()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """Not for a moment longer than it is there."""
    code = "import sys, pathlib, time; from nightsafe.cli.data_directory.lock import shared\n"
    code += "with shared(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_free(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert is_free(tmp_path)


def test_an_exchange_is_one_step(tmp_path: Path) -> None:
    """Each of the names leads to what the other did; what cannot be exchanged, or is not there, stays as it is."""
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.mkdir()
        (path / path.name).touch()

    exchange(one, other)

    assert ["other"] == [path.name for path in one.iterdir()]
    assert ["one"] == [path.name for path in other.iterdir()]
    with pytest.raises(CannotExchangeError):
        exchange(tmp_path, one)
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "absent")


def test_the_safes_that_delivery_uses(tmp_path: Path) -> None:
    """Those that its files are in are held as by who serves them; elsewhere there is nothing to hold."""
    (tmp_path / "safe" / "delivery").mkdir(parents=True)
    (tmp_path / "safe" / "nightsafe.db").touch()

    assert {tmp_path / "safe"} == safes_of(tmp_path / "safe" / "delivery" / "private-ring.json", None)
    assert set() == safes_of(tmp_path / "elsewhere" / "private-ring.json")
