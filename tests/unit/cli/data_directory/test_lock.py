"""The lock of a data directory: shared use, exclusive use, and exchanging directories."""

import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nightsafe.cli.data_directory.directory_swap import CannotSwapError, swap_directories
from nightsafe.cli.data_directory.lock import NO_DIRECTORY, exclusive_lock, lock_directory, shared_lock, unlock
from nightsafe.cli.data_directory.recovery import safes_of
from nightsafe.errors import Code, NightsafeError


def is_free(path: Path) -> bool:
    """Return whether the directory could be locked exclusively now."""
    lock = lock_directory(path, fcntl.LOCK_EX)
    if lock is None:
        return False
    unlock(lock)
    return True


def test_users_share_the_lock_and_exclude_others(tmp_path: Path) -> None:
    """Any number of users share the lock; until they end, exclusive use is refused with a holder's process id."""
    with shared_lock(tmp_path), shared_lock(tmp_path):
        with (
            pytest.raises(NightsafeError, match=r"is in use by process \d+; stop that first") as refused,
            exclusive_lock(tmp_path, 0),
        ):
            pass
        assert Code.UNAVAILABLE == refused.value.code
    with exclusive_lock(tmp_path, 0):
        with (
            pytest.raises(NightsafeError, match="another process is creating or restoring"),
            shared_lock(tmp_path, 0),
        ):
            pass
        assert not is_free(tmp_path)
    assert is_free(tmp_path)


def test_an_absent_directory_is_not_locked(tmp_path: Path) -> None:
    """An absent directory or a file is not locked, so that the caller can find out."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file", tmp_path / "file" / "below"):
        assert NO_DIRECTORY == lock_directory(path, fcntl.LOCK_EX)
        with shared_lock(path), exclusive_lock(path):
            assert [tmp_path / "file"] == list(tmp_path.iterdir())


def test_the_lock_leaves_no_file(tmp_path: Path) -> None:
    """The lock leaves no file, because it is the directory's own."""
    with shared_lock(tmp_path):
        assert [] == list(tmp_path.iterdir())


def test_a_waiting_process_locks_the_exchanged_directory(tmp_path: Path) -> None:
    """A process that waits while the directory is exchanged locks the new one, not the old one."""
    old, new = tmp_path / "data", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    opened, left = threading.Event(), threading.Event()

    def use() -> None:
        """Wait for the directory, and use it until told to leave it."""
        with shared_lock(old, 60):
            opened.set()
            left.wait(60)

    user = threading.Thread(target=use)
    with exclusive_lock(old), exclusive_lock(new):
        user.start()
        swap_directories(new, old)
    assert opened.wait(60)

    assert (False, True) == (is_free(tmp_path / "data"), is_free(tmp_path / "new"))
    left.set()
    user.join()


def test_a_killed_process_releases_the_lock(tmp_path: Path) -> None:
    """The lock of a killed process is free at once."""
    code = "import sys, pathlib, time; from nightsafe.cli.data_directory.lock import shared_lock\n"
    code += "with shared_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_free(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert is_free(tmp_path)


def test_an_exchange_is_one_step(tmp_path: Path) -> None:
    """An exchange swaps two names; names that cannot be exchanged, or are absent, stay as they are."""
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.mkdir()
        (path / path.name).touch()

    swap_directories(one, other)

    assert ["other"] == [path.name for path in one.iterdir()]
    assert ["one"] == [path.name for path in other.iterdir()]
    with pytest.raises(CannotSwapError):
        swap_directories(tmp_path, one)
    with pytest.raises(FileNotFoundError):
        swap_directories(one, tmp_path / "absent")


def test_delivery_locks_the_safe_of_its_files(tmp_path: Path) -> None:
    """The data directory of delivery's files is locked as if it were served; elsewhere nothing is locked."""
    (tmp_path / "safe" / "delivery").mkdir(parents=True)
    (tmp_path / "safe" / "nightsafe.db").touch()

    assert {tmp_path / "safe"} == safes_of(tmp_path / "safe" / "delivery" / "private-ring.json", None)
    assert set() == safes_of(tmp_path / "elsewhere" / "private-ring.json")
