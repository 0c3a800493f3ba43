"""Runs processes on chosen cores, and reads their CPU time and memory from /proc (proc(5))."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from benchmarks.settings import ROOT

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 30


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run this thread, and every process that it starts meanwhile, on one core. None changes nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    command: Sequence[str],
    core: int | None,
    log: IO[bytes],
    *,
    text: str = "",
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> "subprocess.Popen[str]":
    """Start a server on a core, with a text on stdin and its stderr in a log."""
    with on_core(core):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=log,
            text=True,
            cwd=ROOT,
        )
    if process.stdin is not None:
        process.stdin.write(text)
        process.stdin.close()
    return process


def stop(process: "subprocess.Popen[str]") -> None:
    """Ask a process to end, and kill it after half a minute. No other process is affected."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process and its descendants have used, in seconds."""
    return sum(_own_ticks(member) for member in _tree(pid)) * _TICK


def resident_bytes(pid: int) -> tuple[int, int]:
    """Return the resident memory of one process in bytes: all of it, and the part without file pages."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return _kilobytes(fields["VmRSS"]), _kilobytes(fields["RssAnon"])


def wait_until_idle(pid: int, within: float = 10.0) -> None:
    """Wait until a process has used no CPU for half a second, or until the time is over."""
    end, before = time.monotonic() + within, -1.0
    while time.monotonic() < end:
        now = cpu_seconds(pid)
        if now == before:
            return
        before = now
        time.sleep(0.5)


def cores() -> set[int]:
    """Return the cores that this process may run on."""
    return os.sched_getaffinity(0)


def describe() -> dict[str, object]:
    """Describe the machine in general terms, for the record."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "processor": models[0].split(":", 1)[1].strip() if models else "unknown",
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "kernel": os.uname().release.split("-")[0],
        "load_before": os.getloadavg()[0],
    }


def _kilobytes(field: str) -> int:
    """Return the bytes in a field such as `123 kB`."""
    return int(field.split(maxsplit=1)[0]) * 1024


def _own_ticks(pid: int) -> int:
    """Return utime + stime of all threads of a process, including ended threads; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
