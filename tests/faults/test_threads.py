"""A limit on threads: the start reports it in words, and no write meets it."""

import gc
import threading
from pathlib import Path

import pytest
from tests.engines.tools.changes import secret, setting, upload
from tests.faults.test_sqlite_faults import open_resources
from tests.server import Safe, Server, run
from tests.stores import SIGNING_KEY

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.sqlite import SqliteStore

START = threading.Thread.start


def refuse(_: threading.Thread) -> None:
    """Refuse to start a thread, as the system does."""
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("allowed", [0, 1])
async def test_a_store_without_threads_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """However many threads may start before the limit, the error says what to raise, and nothing stays open."""
    left = iter(range(allowed))
    gc.collect()  # what earlier tests left open is closed now, and not between the two counts
    before = open_resources()
    with monkeypatch.context() as patched:
        patched.setattr(
            threading.Thread, "start", lambda thread: refuse(thread) if next(left, None) is None else START(thread)
        )
        with pytest.raises(NightsafeError, match="TasksMax") as caught:
            SqliteStore.open(tmp_path / "store.db", create=True, signer=SIGNING_KEY)

    assert Code.STORE is caught.value.code
    store = SqliteStore.open(tmp_path / "store.db", signer=SIGNING_KEY)
    await store.commit(upload())
    await store.close()
    assert before == open_resources()


async def test_no_write_needs_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open store writes, is checked and closed without starting a thread."""
    store = SqliteStore.open(tmp_path / "store.db", create=True, signer=SIGNING_KEY)
    monkeypatch.setattr(threading.Thread, "start", refuse)

    await store.commit(upload())
    await store.commit(setting(secret("S")))
    await store.check()
    await store.close()


@pytest.mark.parametrize("most", [1, 4, 8])
def test_a_server_without_threads_says_so(safe: Safe, most: int) -> None:
    """However few are allowed, it ends with 1 and one line on what to raise, without a traceback or a signal."""
    environ = {"PYTHONPATH": str(Path(__file__).parent / "few_threads"), "MOST_THREADS": str(most)}

    done = run("serve", "--data", str(safe.path), "--port", "0", cwd=safe.path.parent, environ=environ)

    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done.stderr
    assert "cannot start a thread: raise the limit" in done.stderr


def test_a_server_with_just_enough_threads_serves(safe: Safe) -> None:
    """The threads that the start asks for are all that serving takes."""
    environ = {"PYTHONPATH": str(Path(__file__).parent / "few_threads"), "MOST_THREADS": "9"}
    with Server(safe, environ=environ) as server:
        assert 9 == len(list(Path(f"/proc/{server.pid}/task").iterdir()))
