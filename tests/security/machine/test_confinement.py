"""Attacks from inside a process that was taken over, under the confinement that Nightsafe gives it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.tools.running import Run
from tests.security.tools import attack_attempts
from tests.server import Safe, clean_environ, make_safe, run

from nightsafe.audit.sinks.address import SinkAddress
from nightsafe.audit.sinks.connection import connect
from nightsafe.audit.sinks.opener import Opener
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.server import confinement, witnesses
from nightsafe.confinement import landlock, seccomp
from nightsafe.delivery.workerd import launch
from nightsafe.errors import NightsafeError

_ROOT = Path(__file__).parents[3]
_NOBODY = 65534
_REFUSED = {"EACCES", "EPERM", "EXDEV", "ENOSYS"}


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    """Return a safe that no process serves."""
    return make_safe(tmp_path_factory.mktemp("confined"))


def outcomes(who: str, safe: Safe, home: Path) -> dict[str, str]:
    """Make every attempt, while an unrelated process listens on TCP and on an abstract socket.

    Args:
        who: the confined process: "run", "sinks", "serve" or "workerd".
        safe: the data directory that it serves.
        home: a directory in which the attempts try to make and change files.

    Returns:
        The outcome of each attempt by name: "done", or the name of the error.
    """
    (home / ".bashrc").write_text("old\n")
    with socket.create_server(("127.0.0.1", 0)) as stranger, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0nightsafe-attempt-{os.getpid()}")
        abstract.listen()
        port = str(stranger.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "tests.security.tools.attack_attempts", who, str(safe.path), str(home), port],
            cwd=_ROOT,
            env=clean_environ(PYTHONPATH=str(_ROOT)),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (0, "") == (done.returncode, done.stderr)
    assert "old\n" == (home / ".bashrc").read_text()
    found: dict[str, str] = json.loads(done.stdout)
    return found


def not_refused(found: dict[str, str], names: set[str]) -> dict[str, str]:
    """Return the attempts among `names` that the system did not refuse, with their outcomes."""
    return {name: found[name] for name in names if found[name] not in _REFUSED}


def test_the_api_beside_a_delivery_process(confined: Safe, tmp_path: Path) -> None:
    """Under `nightsafe run`, the API process can write only the database and its log, and can connect to nothing
    but a database in PostgreSQL, unless it has audit sinks.
    """
    found = outcomes("run", confined, tmp_path)
    needed = set(attack_attempts.needed(tmp_path, ()))

    assert {"done"} == {found[name] for name in needed}
    assert {} == not_refused(found, set(found) - needed)


@pytest.fixture(scope="module")
def alone(confined: Safe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the outcome of every attempt from within `nightsafe serve`."""
    return outcomes("serve", confined, tmp_path_factory.mktemp("alone"))


def test_the_api_alone(alone: dict[str, str], tmp_path: Path) -> None:
    """`nightsafe serve` can write only the database, its log and its address file, and can connect to nothing
    but a database in PostgreSQL, unless it has audit sinks.
    """
    needed = set(attack_attempts.needed(tmp_path, ()))

    assert {"done"} == {alone[name] for name in needed}
    assert {} == not_refused(alone, set(alone) - needed - {"ring read", "passwords", "environment", "memory"})
    assert {"memory", "environment"} >= set(not_refused(alone, {"memory", "environment"}))


@pytest.fixture(scope="module")
def with_sinks(confined: Safe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the outcome of every attempt from within `nightsafe run` with a sink in a file and one at a host."""
    return outcomes("sinks", confined, tmp_path_factory.mktemp("with_sinks"))


def test_the_api_with_audit_sinks(with_sinks: dict[str, str], tmp_path: Path) -> None:
    """With audit sinks, the API process can also write to each sink's own file or host and store its position, and
    still can open no other file and connect to no other host.
    """
    needed = {*attack_attempts.needed(tmp_path, ()), *attack_attempts.through_sinks((), ())}

    assert {"done"} == {with_sinks[name] for name in needed}
    assert {} == not_refused(with_sinks, set(with_sinks) - needed)


def test_an_attacker_uses_an_audit_sink(with_sinks: dict[str, str]) -> None:
    """An attacker who takes over an API process with an audit sink can send anything that the process knows to that
    sink.
    """
    assert {"done"} == {with_sinks[name] for name in attack_attempts.through_sinks((), ())}


def test_the_api_alone_reads_files_of_its_user(alone: dict[str, str]) -> None:
    """`nightsafe serve`, without `run`, may read every file that its user may read."""
    assert "done" == alone["ring read"]


def test_the_memory_of_a_workerd_is_readable() -> None:
    """Other processes of the same user can read the memory of a workerd, with its scripts' values, unless
    `ptrace_scope` forbids it.

    The memory file of a hidden process belongs to root's group. After the launcher has started the program, the file
    belongs to the process's own group.
    """
    command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "/bin/sleep", "60"]
    with subprocess.Popen(command, env={}, group=_NOBODY if os.geteuid() == 0 else None) as started:
        place = Path(f"/proc/{started.pid}")
        while (place / "cmdline").read_bytes().split(b"\0")[0] != b"/bin/sleep":
            assert started.poll() is None
        shown = (place / "mem").stat().st_gid
        started.kill()

    assert (_NOBODY if os.geteuid() == 0 else os.getegid()) == shown


def test_the_helper_of_a_witness_is_confined(tmp_path: Path) -> None:
    """The helper process that connects to a witness can connect to no other port, except that of name servers, and
    read only files of the system.
    """
    with socket.create_server(("127.0.0.1", 0)) as witness, socket.create_server(("127.0.0.1", 0)) as stranger:
        ports = [one.getsockname()[1] for one in (witness, stranger)]
        allowed = witnesses.allowed_for(ports[0], confinement.network_files())
        (tmp_path / "file").write_text("content")
        assert witnesses._is_host("127.0.0.1")
        addresses = [SinkAddress("", "http", "127.0.0.1", port, "/") for port in ports]
        attempts = (
            lambda: connect(addresses[1]),
            lambda: os.open(tmp_path / "file", os.O_RDONLY),
            lambda: os.open(tmp_path / "file", os.O_WRONLY),
            lambda: os.open(tmp_path / "new", os.O_CREAT | os.O_WRONLY),
        )
        for attempt in attempts:
            helper = Opener(attempt, allowed)
            with pytest.raises(OSError, match=r"denied|not permitted"):
                helper.open()
            helper.close()
        helper = Opener(lambda: connect(addresses[0]), allowed)
        os.close(helper.open())
        helper.close()


def test_workerd(confined: Safe, tmp_path: Path) -> None:
    """Each workerd can write no file, read only its own files, and look into no other process."""
    found = outcomes("workerd", confined, tmp_path)

    assert {} == not_refused(found, set(attack_attempts.made(tmp_path)))
    assert {} == not_refused(found, set(attack_attempts.taken(tmp_path, tmp_path)))
    assert {} == not_refused(found, set(attack_attempts.others(1)) | set(attack_attempts.heard()))


@pytest.fixture(scope="module")
def running(confined: Safe) -> Iterator[Run]:
    """Yield `nightsafe run` with the safe."""
    with Run(confined) as started:
        yield started


def test_running_processes_are_confined(running: Run) -> None:
    """Under `nightsafe run`, the API process can write only the database and its log, and can connect to nothing
    but a database in PostgreSQL, unless it has audit sinks.

    The API process and workerd, which handle untrusted input, have the system call filter, cannot gain privileges and
    have at most one capability.
    """
    for pid, kept in ((running.child("api_child"), 1 << 1), (running.child("workerd serve"), 1 << 2)):
        status = status_of(pid)
        assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
        assert int(status["CapEff"], 16) | int(status["CapBnd"], 16) in {kept, 0}
    assert "api.not_confined" not in running.stderr.read_text()


def test_the_delivery_process(running: Run) -> None:
    """The delivery process itself is not confined."""
    status = status_of(running.pid)

    assert ("0", "0") == (status["NoNewPrivs"], status["Seccomp"])


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of a process's status file."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.mark.parametrize("command", [("keys", "status"), ("secret", "put", "X", "--script", "x")])
def test_a_command_with_a_key_or_a_value(confined: Safe, command: tuple[str, ...], tmp_path: Path) -> None:
    """A command with a key or a value in its memory leaves no core file, and other processes of its user cannot read
    that memory.
    """
    code = """
import atexit, ctypes, resource, sys
atexit.register(lambda: print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)))
from nightsafe.cli.main import main
main()
"""
    environ = clean_environ(NIGHTSAFE_DATA=str(confined.path))
    told = subprocess.run(
        [sys.executable, "-c", code, *command], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert "0 (0, 0)" == told.stdout.splitlines()[-1], told.stderr


def test_a_ring_in_the_directory_of_keys(confined: Safe, tmp_path: Path) -> None:
    """`nightsafe run` refuses a private ring in a directory that the API process must read."""
    (tmp_path / "linked").symlink_to(confined.path / "keys")
    ring = tmp_path / "linked" / "private-ring.json"
    done = run("run", "--data", str(confined.path), "--private-ring", str(ring), cwd=tmp_path)

    assert 1 == done.returncode
    assert f"{ring} is inside {confined.path / 'keys'}, which" in done.stderr
    assert "--private-ring" in done.stderr


@pytest.mark.parametrize(
    "place",
    ["/etc/ssl/ring", "/usr/local/ring", "/proc/ring", "/lib/ring", f"{sys.prefix}/ring", confinement.__file__],
)
def test_a_ring_in_a_directory_of_the_system(place: str, tmp_path: Path) -> None:
    """`nightsafe run` refuses a private ring in a directory that the API process must read.

    It refuses one in a directory of the system or beside its own program.
    """
    with pytest.raises(NightsafeError, match="which the API's process must be able to read"):
        confinement.refuse_readable_ring(Path(place), DataDirectory(tmp_path))


def test_a_ring_elsewhere(tmp_path: Path) -> None:
    """`nightsafe run` refuses a private ring in a directory that the API process must read.

    It accepts a private ring anywhere else.
    """
    confinement.refuse_readable_ring(tmp_path / "delivery" / "ring", DataDirectory(tmp_path))
    confinement.refuse_readable_ring(Path("/etc/nightsafe/ring"), DataDirectory(tmp_path))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (0, ["reading, writing, making and removing files, and running programs", "truncating files", "TCP"]),
        (2, ["truncating files", "TCP"]),
        (3, ["TCP"]),
        (6, []),
    ],
)
def test_the_log_says_what_an_older_system_lacks(
    version: int, expected: list[str], confined: Safe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nightsafe serve` can write only the database, its log and its address file, and can connect to nothing
    but a database in PostgreSQL, unless it has audit sinks.

    On an older system, the log says which of these limits are missing, and the server still serves.
    """
    said: list[dict[str, object]] = []
    monkeypatch.setattr(landlock, "restrict", lambda _: version)
    monkeypatch.setattr(seccomp, "forbid", lambda *_: True)
    monkeypatch.setattr(confinement, "drop_capabilities", lambda _: None)
    monkeypatch.setattr(confinement._log, "warning", lambda event, **told: said.append({"event": event, **told}))
    held = confinement.Confinement(DataDirectory(confined.path), (), beside_delivery=True)
    with socket.create_server(("127.0.0.1", 0)) as own:
        held.confine(own, None, ())
    held.log_missing()

    assert bool(expected) == bool(said)
    for event in said:
        missing = event["not_kept_from"]
        assert isinstance(missing, list)
        assert expected == missing[: len(expected)]


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_an_older_landlock(version: int, tmp_path: Path) -> None:
    """`nightsafe serve` can write only the database, its log and its address file, and can connect to nothing
    but a database in PostgreSQL, unless it has audit sinks.

    Nightsafe asks an older Landlock only for rules that it knows, and it enforces them.
    """
    code = f"""
from pathlib import Path
from nightsafe.confinement import landlock, seccomp
from nightsafe.delivery.workerd import launch
landlock.version = lambda: {version}
print(landlock.restrict(landlock.Allowed(read=(Path("/usr"),))))
try:
    Path({str(tmp_path / "new")!r}).touch()
except PermissionError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"{version}\nrefused\n" == done.stdout


def test_a_system_without_landlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Landlock, nothing keeps the API process from its user's files and ports; the log says so."""
    monkeypatch.setattr(landlock, "_CREATE_RULESET", -1)

    assert (0, 0) == (landlock.version(), landlock.restrict(landlock.Allowed(read=())))
    (tmp_path / "new").touch()
    assert 5 == len(landlock.unsupported(0))
