"""Checks the machine: disk, clock, server, confinement and workerd."""

import ctypes
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.safe.database_copy import newest_change, open_read_only
from nightsafe.confinement import calls, landlock
from nightsafe.delivery.workerd import binary as runtime
from nightsafe.errors import NightsafeError

_LITTLE, _TOO_LITTLE = 1 << 30, 64 << 20
_UNSYNCHRONISED: Final = 5
_TIMEX_BYTES: Final = 512
_WAIT_SECONDS: Final = 5


def disk(safe: Examination) -> Iterator[Finding]:
    """Check the free space."""
    if not safe.is_there:
        return
    free = shutil.disk_usage(safe.data).free
    state = State.FAILED if free < _TOO_LITTLE else State.WARNING if free < _LITTLE else State.OK
    yield Finding(
        state,
        "disk",
        f"{free >> 20:,} MiB free",
        "" if state is State.OK else "free some space: writes will fail when the disk is full",
    )


def clock(safe: Examination) -> Iterator[Finding]:
    """Check that the clock is not behind the safe's newest version, and is synchronised.

    A clock that was ahead for a while leaves versions with later times. That is a warning, not a failure.
    """
    newest = 0
    if safe.is_there:
        with open_read_only(safe.database) as db:
            newest = newest_change(db) // 1_000_000
    behind = newest - time.time()
    advice = "run a time service such as chrony: tokens and certificates are valid for a limited time"
    if behind > 1:
        found = f"{behind:.0f} s behind the newest version in the safe: the clock is behind now, or was ahead then"
        yield Finding(State.WARNING, "clock", found, advice)
    elif _is_synchronised() is False:
        yield Finding(State.WARNING, "clock", "the kernel reports that the clock is not synchronised", advice)
    else:
        yield Finding(State.OK, "clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def server(safe: Examination) -> Iterator[Finding]:
    """Check whether a server serves the directory and can be reached."""
    address = address_of(safe.data)
    if address is None:
        yield Finding(State.OK, "server", "no server serves this directory now")
        return
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=_WAIT_SECONDS).close()
    except OSError as error:
        yield Finding(
            State.FAILED, "server", f"{address} cannot be reached: {error}", "read its log, then restart it"
        )
    else:
        yield Finding(State.OK, "server", address)


def workerd(_: Examination) -> Iterator[Finding]:
    """Check that workerd is installed and is the version that Nightsafe was built for."""
    try:
        path = runtime.find_workerd()
    except NightsafeError as error:
        yield _workerd_finding(State.WARNING, error)
        return
    try:
        runtime.verify_workerd(path)
    except NightsafeError as error:
        yield _workerd_finding(State.FAILED, error)
    else:
        yield Finding(State.OK, "workerd", f"{runtime.VERSION}, {path}")


def confinement(_: Examination) -> Iterator[Finding]:
    """Check which confinement of the API's process this machine supports."""
    version = landlock.version()
    missing = [*landlock.unsupported(version), *(() if calls.is_known() else ("system calls",))]
    if missing:
        found = f"Landlock {version}: a server that an attacker took over is not kept from: {'; '.join(missing)}"
        yield Finding(State.WARNING, "confinement", found, "a newer Linux with Landlock enabled prevents all of it")
    else:
        yield Finding(State.OK, "confinement", f"Landlock {version} and a filter of system calls")


def _workerd_finding(state: State, error: NightsafeError) -> Finding:
    """Return the finding for a missing or wrong workerd, with the way to install it as advice."""
    found, _, advice = error.problems[0].detail.partition(": ")
    return Finding(state, "workerd", found, f"on a machine that delivers scripts, {advice}")


def _is_synchronised() -> bool | None:
    """Return whether the kernel's clock is synchronised, by adjtimex(2); None if the kernel does not say."""
    try:
        clock_state = ctypes.CDLL(None).adjtimex(
            ctypes.create_string_buffer(_TIMEX_BYTES)
        )  # all zeros: this call only reads
    except (OSError, AttributeError):
        return None
    return None if clock_state < 0 else clock_state != _UNSYNCHRONISED
