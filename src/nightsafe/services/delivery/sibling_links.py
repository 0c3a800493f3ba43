"""Memory and sockets that the API processes of one server share. Their parent makes both, and each inherits them.

Each process writes only its own region of the memory, and reads the others. So there are no locks, a killed process
leaves its last complete state, and every process sees a state as soon as it is written.
"""

import io
import mmap
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Self

MOST_BYTES: Final = 8 << 20
"""The largest state of one process."""

_ROOM: Final = MOST_BYTES + mmap.PAGESIZE
_REGION: Final = 2 * _ROOM + mmap.PAGESIZE
"""The bytes of a region: a page with the number of the last complete state, and room for two states in turn."""

_NUMBER: Final = struct.Struct("=Q")
_HEAD: Final = struct.Struct("=QII")
"""The start of a state: its number, its length and its CRC-32."""

_ATTEMPTS: Final = 1000
_MOST_MESSAGE: Final = 4096
_DESCRIPTORS: Final = 1


class SiblingMemory:
    """One region for each process. The memory takes room only where a process has written.

    Args:
        memory: the shared memory, as a file.
        count: how many processes share it.
        index: which of them this is.
    """

    def __init__(self, memory: io.FileIO, count: int, index: int) -> None:
        self._map: Final = mmap.mmap(memory.fileno(), count * _REGION)
        self._index: Final = index
        self._seen: Final = [0] * count

    @staticmethod
    def create(count: int) -> io.FileIO:
        """Make the memory for some processes."""
        memory = io.FileIO(os.memfd_create("nightsafe-siblings"), "r+")
        memory.truncate(count * _REGION)
        return memory

    def write(self, state: bytes) -> None:
        """Replace this process's state. The number is written last, and makes the state the current one."""
        at = self._index * _REGION
        number = self._number(at) + 1
        place = _place(at, number)
        self._map[place + _HEAD.size : place + _HEAD.size + len(state)] = state
        _HEAD.pack_into(self._map, place, number, len(state), zlib.crc32(state))
        _NUMBER.pack_into(self._map, at, number)

    def read_changed(self) -> Iterator[tuple[int, bytes]]:
        """Yield the index and the state of each other process that has written since the last call."""
        for index, seen in enumerate(self._seen):
            if index != self._index and self._number(index * _REGION) != seen:
                self._seen[index], state = self._read(index * _REGION)
                if self._seen[index]:
                    yield index, state

    def read_own(self) -> bytes:
        """Return the state that this process, or the one that it replaces, wrote last; b"" for none."""
        return self._read(self._index * _REGION)[1]

    def close(self) -> None:
        """Unmap the memory."""
        self._map.close()

    def _number(self, at: int) -> int:
        """Return the number of the last complete state of a region; 0 for none."""
        return int(_NUMBER.unpack_from(self._map, at)[0])

    def _read(self, at: int) -> tuple[int, bytes]:
        """Return the current state of a region and its number; 0 and b"" for none.

        A state that was overwritten meanwhile has another number or checksum, and there is a newer one to read.
        """
        for _ in range(_ATTEMPTS):
            number = self._number(at)
            place = _place(at, number)
            found, length, checksum = _HEAD.unpack_from(self._map, place)
            state = self._map[place + _HEAD.size : place + _HEAD.size + min(length, MOST_BYTES)]
            if found == number and zlib.crc32(state) == checksum:
                return number, state
        return 0, b""


class SiblingLinks:
    """The shared memory and the sockets, as one process has them.

    Args:
        index: which process this is.
        memory: the shared memory, as a file.
        inbox: socket at which this process receives messages.
        outboxes: sockets that lead to the inbox of each process, by index; this process does not use its own.
    """

    def __init__(
        self, index: int, memory: io.FileIO, inbox: socket.socket, outboxes: tuple[socket.socket, ...]
    ) -> None:
        self.index: Final = index
        self._file: Final = memory
        self.memory: Final = SiblingMemory(memory, len(outboxes), index)
        self.inbox: Final = inbox
        self._outboxes: Final = outboxes

    @classmethod
    def create(cls, count: int) -> tuple[Self, ...]:
        """Make the links of some processes, in their parent."""
        memory = SiblingMemory.create(count)
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for end in (end for pair in pairs for end in pair):
            end.setblocking(False)
        outboxes = tuple(outbox for _, outbox in pairs)
        return tuple(cls(index, memory, inbox, outboxes) for index, (inbox, _) in enumerate(pairs))

    @classmethod
    def of_argument(cls, argument: str) -> Self | None:
        """Return the inherited links that an argument of the command line names; None for no links."""
        if not argument:
            return None
        index, memory, inbox, *outboxes = map(int, argument.split(","))
        return cls(
            index,
            io.FileIO(memory, "r+"),
            _socket_of(inbox),
            tuple(map(_socket_of, outboxes)),
        )

    def as_argument(self) -> str:
        """Return the links as an argument for the process that inherits `descriptors`."""
        return ",".join(map(str, (self.index, *self.descriptors)))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that the process inherits."""
        return (self._file.fileno(), self.inbox.fileno(), *(outbox.fileno() for outbox in self._outboxes))

    @property
    def count(self) -> int:
        """The number of processes, with this one."""
        return len(self._outboxes)

    @property
    def others(self) -> Iterator[int]:
        """The indexes of the other processes."""
        return (index for index in range(self.count) if index != self.index)

    def send(self, index: int, message: bytes, descriptor: int | None = None) -> bool:
        """Send a message to a process, with a descriptor if given. Return False if its inbox is full."""
        with suppress(OSError):
            socket.send_fds(self._outboxes[index], [message], [] if descriptor is None else [descriptor])
            return True
        return False

    def receive(self) -> tuple[bytes, int | None] | None:
        """Return the next message, with the descriptor that came with it, or None if there is no message."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self.inbox, _MOST_MESSAGE, _DESCRIPTORS)
        except OSError:
            return None
        return message, descriptors[0] if descriptors else None

    def close(self) -> None:
        """Close everything. Several links of one parent share the memory and the sockets."""
        self.memory.close()
        self.inbox.close()
        for outbox in self._outboxes:
            outbox.close()
        self._file.close()


def _socket_of(descriptor: int) -> socket.socket:
    """Return an inherited socket."""
    inherited = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0, descriptor)
    inherited.setblocking(False)
    return inherited


def _place(at: int, number: int) -> int:
    """Return the place of a state in the region at an offset: two places take turns."""
    return at + mmap.PAGESIZE + number % 2 * _ROOM
