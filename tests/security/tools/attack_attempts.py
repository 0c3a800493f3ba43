"""Attempts of an attacker who has taken over a process: a program that confines itself first, then makes them all.

Run `python -m tests.security.tools.attack_attempts WHO DATA HOME PORT`. WHO is the confinement to apply (`run`,
`serve`, `workerd`, or `sinks` for `run` with audit sinks), DATA a data directory, HOME a user's home directory, and
PORT a port on loopback at which an unrelated process listens. It prints the outcome of each attempt as JSON.
"""

import ctypes
import errno
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.shipped import shipped_event

import nightsafe.delivery.process_memory
from nightsafe.audit.entry import AuditEvent
from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.audit.sinks.sender import Sender
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.server.audit_sinks import AuditSinks, SinkSettings
from nightsafe.cli.server.confinement import Confinement, network_files
from nightsafe.confinement.calls import number
from nightsafe.delivery.workerd import launch

LIBC = ctypes.CDLL(None, use_errno=True)
_ATTACH, _NEW_USER = 16, 0x10000000


def system(name: str, *arguments: int) -> None:
    """Make a system call; raise OSError when the system refuses it."""
    if LIBC.syscall(number(name), *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def start(*command: str) -> None:
    """Run a program and wait for its end."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def made(home: Path) -> dict[str, Callable[[], object]]:
    """Return attempts to leave something behind on disk."""
    return {
        "code": lambda: Path(nightsafe.delivery.process_memory.__file__).open("ab").close(),
        "profile": lambda: (home / ".bashrc").open("ab").close(),
        "cron": lambda: Path("/etc/cron.d").mkdir() if not Path("/etc/cron.d").exists() else _drop("/etc/cron.d/x"),
        "file": (home / "new").touch,
        "directory": (home / "new").mkdir,
        "link": lambda: (home / "new").symlink_to("/"),
        "pipe": lambda: os.mkfifo(home / "new"),
        "removed": (home / ".bashrc").unlink,
        "renamed": lambda: (home / ".bashrc").rename(home / "new"),
        "truncated": lambda: os.truncate(home / ".bashrc", 0),
        "temporary": lambda: _drop("/tmp/nightsafe-attempt"),  # noqa: S108 - the attempt is on this directory
        "shell": lambda: start("/bin/sh", "-c", ":"),
        "mode": lambda: (home / ".bashrc").chmod(0o666),
        "owner": lambda: os.chown(home / ".bashrc", -1, -1),
        "times": lambda: os.utime(home / ".bashrc"),
        "attribute": lambda: os.setxattr(home / ".bashrc", "user.x", b"x"),
    }


def taken(ring: Path, key: Path) -> dict[str, Callable[[], object]]:
    """Return attempts to read or change the private ring, to change a key, and to read the password file."""
    return {
        "ring read": ring.read_bytes,
        "ring written": lambda: ring.open("ab").close(),
        "ring removed": ring.unlink,
        "ring moved": lambda: ring.rename(key.with_name("moved")),
        "ring linked": lambda: os.link(ring, key.with_name("linked")),
        "key written": lambda: key.open("ab").close(),
        "key exchanged": lambda: key.rename(key.with_name("other")),
        "passwords": Path("/etc/shadow").read_bytes,
    }


def others(parent: int) -> dict[str, Callable[[], object]]:
    """Return attempts on other processes and on the kernel."""
    return {
        "signal": lambda: os.kill(parent, 0),
        "limits": lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 0),
        "processors": lambda: os.sched_setaffinity(parent, {0}),
        "shared memory": lambda: system("shmget", 0, 4096, 0o1666),
        "ptrace": lambda: system("ptrace", _ATTACH, parent, 0, 0),
        "memory": Path(f"/proc/{parent}/mem").read_bytes,
        "environment": Path(f"/proc/{parent}/environ").read_bytes,
        "memory copied": lambda: system("process_vm_readv", parent, 0, 0, 0, 0, 0),
        "namespace": lambda: system("unshare", _NEW_USER),
        "namespace of a child": lambda: system("clone", _NEW_USER | 17, 0, 0, 0, 0),
        "mount": lambda: system("mount", 0, 0, 0, 0, 0),
        "bpf": lambda: system("bpf", 0, 0, 0),
        "ring of requests": lambda: system("io_uring_setup", 1, 0),
        "keys of the kernel": lambda: system("keyctl", 0, 0, 0, 0, 0),
        "abstract socket": lambda: _connect(socket.AF_UNIX, f"\0nightsafe-attempt-{parent}"),
    }


def sent(port: int) -> dict[str, Callable[[], object]]:
    """Return attempts to send data away."""
    return {
        "TCP": lambda: _connect(socket.AF_INET, ("127.0.0.1", port)),
        "TCP, fast": lambda: socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", port)),
        "another protocol": lambda: socket.socket(proto=262).close(),  # Multipath TCP
        "UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    }


def heard() -> dict[str, Callable[[], object]]:
    """Return attempts to listen for connections."""
    return {"a port of its own": lambda: _listen(("127.0.0.1", 0)), "a port that is found": lambda: _listen(None)}


def needed(data: Path, own: object) -> dict[str, Callable[[], object]]:
    """Return the operations that serving needs."""
    return {
        "database": lambda: _write(data / "nightsafe.db"),
        "keys": (data / "keys" / "signing-key.json").read_bytes,
        "its own port": lambda: _connect(socket.AF_INET, own),
        "itself": lambda: start(sys.executable, "-S", "-c", "pass"),
    }


def through_sinks(senders: Sequence[Sender], positions: Sequence[Position]) -> dict[str, Callable[[], object]]:
    """Return the operations that audit sinks need: a batch to the file, one to the host, and their positions."""
    entry = shipped_event(1, AuditEvent(at=1, action="a", actor="b", actor_kind="c", account_id="d"))
    return {
        "the sink's file": lambda: senders[0].send([entry]),
        "the sink's host": lambda: senders[1].send([entry]),
        "the sinks' positions": lambda: store_all(positions),
    }


def store_all(positions: Sequence[Position]) -> None:
    """Store the positions of sinks."""
    for position in positions:
        position.write(Mark(1, "f" * 64))


def receive_one(listener: socket.socket) -> None:
    """Start a process that reads one connection to its end and then ends it."""
    if os.fork() == 0:
        with listener.accept()[0] as connection:
            while connection.recv(4096):
                pass
        os._exit(0)


def outcome(attempt: Callable[[], object]) -> str:
    """Make an attempt; return "done", or the name or text of the error."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    except sqlite3.Error as error:
        return str(error)
    return "done"


def _drop(path: str) -> None:
    """Create a file, and remove it again."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    Path(path).unlink()


def _connect(family: int, address: object) -> None:
    """Connect to an address."""
    with socket.socket(family) as asking:
        asking.connect(address)  # type: ignore[arg-type] # its type depends on the family


def _listen(address: object) -> None:
    """Listen at an address, or at a free port without one; raise PermissionError if the socket does not listen."""
    with socket.socket() as waiting:
        if address is not None:
            waiting.bind(address)  # type: ignore[arg-type] # as `_connect`
        waiting.listen()
        if not waiting.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise PermissionError(errno.EPERM, "it does not")


def _write(database: Path) -> None:
    """Write to a database in a transaction."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("UPDATE probe SET count = count + 1")
        db.commit()


def main() -> None:
    """Confine this process, and make every attempt."""
    who, data, home, port = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    directory, parent = DataDirectory(data), os.getppid()
    tries = made(home) | taken(directory.private_ring, directory.signing_key) | others(parent) | sent(port) | heard()
    with socket.create_server(("127.0.0.1", 0)) as own:
        if who == "workerd":
            launch.confine([sys.executable, "serve", str(home / "runtime.capnp")])
            tell(tries)
            return
        reach = Confinement(directory, (), beside_delivery=who != "serve")
        with reach.hold_database_open():
            tries |= needed(data, own.getsockname()) | (_open_sinks(data, home) if who == "sinks" else {})
            reach.confine(own, None, ())
            tell(tries)


def _open_sinks(data: Path, home: Path) -> dict[str, Callable[[], object]]:
    """Open a sink in a file and one at a host, and return what they do."""
    (home / "audit").mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receive_one(listener)
        urls = ((home / "audit" / "log.jsonl").as_uri(), f"syslog+tcp://127.0.0.1:{listener.getsockname()[1]}")
    _, senders, positions = zip(*AuditSinks.open(data, SinkSettings(urls), network_files())._sinks, strict=True)
    return through_sinks(senders, positions)


def tell(tries: dict[str, Callable[[], object]]) -> None:
    """Make every attempt, and print the outcomes as JSON."""
    sys.stdout.write(json.dumps({name: outcome(attempt) for name, attempt in tries.items()}))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
