"""The knowledge that the API processes of one server share: who delivers, who checks code, what witnesses cosigned.

Each process publishes what it has learned itself. A process reads the others' states from shared memory whenever it
needs them, so nothing is out of date. Messages end a wait early; some of them carry a code check or a verdict.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from nightsafe.bundle.processes import HeldScript, ScriptProblem, WaitingScript
from nightsafe.services.delivery.sibling_links import MOST_BYTES, SiblingLinks

_log = structlog.get_logger()

ProcessId = tuple[str, str]
"""Identifies a delivery process: the ID of its credential, and the name that it gives itself."""


class Follower(Struct, frozen=True, kw_only=True):
    """A delivery process, as the API process with its last request for changes knows it.

    Attributes:
        account_id: the account that it follows.
        process_id: its identity.
        asked_at: the start of its last request for changes, in seconds of the machine's monotonic clock.
        last_request_at: that time, or the time of the answer.
        acted_on: number of the log entry up to which it has acted.
        left: whether it has disconnected.
    """

    account_id: str
    process_id: ProcessId
    asked_at: float
    last_request_at: float
    acted_on: int
    left: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """What a delivery process reports about itself.

    Attributes:
        account_id: the account that it follows.
        process_id: its identity.
        at: the time of the report, in seconds of the machine's monotonic clock.
        held: the scripts that it holds apart; None in a report about its credential.
        waiting: the scripts that wait for an approval.
        problems: the scripts whose newest state is refused or cannot be served.
        reseals: whether its credential has the permission to reseal values; None in a report of held scripts.
    """

    account_id: str
    process_id: ProcessId
    at: float
    held: tuple[HeldScript, ...] | None = None
    waiting: tuple[WaitingScript, ...] = ()
    problems: tuple[ScriptProblem, ...] = ()
    reseals: bool | None = None


class AccountChecks(Struct, frozen=True, kw_only=True):
    """The code checks of an account in one API process.

    Attributes:
        account_id: the account.
        waiting: how many checks no delivery process has taken yet.
        active_checkers: how many delivery processes wait for a check.
        last_seen_at: when the last of them was answered, in seconds of the machine's monotonic clock.
    """

    account_id: str
    waiting: int
    active_checkers: int
    last_seen_at: float


class CosignedNote(Struct, frozen=True):
    """A checkpoint of the log with cosignatures of witnesses.

    Attributes:
        note: the note that the log has signed.
        lines: the signature lines of the cosignatures.
    """

    note: bytes
    lines: bytes


class State(Struct, kw_only=True):
    """The state that one API process publishes; `node` is a random id of the process and its successors."""

    node: str = ""
    followers: tuple[Follower, ...] = ()
    reports: tuple[Report, ...] = ()
    checks: tuple[AccountChecks, ...] = ()
    cosigned: tuple[CosignedNote, ...] = ()


class Claim(Struct, frozen=True, tag="claim"):
    """A message: a process asks for a waiting code check of an account, because a delivery process waits for one."""

    account_id: str
    claimant: int


class HandedCheck(Struct, frozen=True, tag="check"):
    """A message: the check of an account that a process asked for. Its content comes with it, as a descriptor."""

    account_id: str


class PassedVerdict(Struct, frozen=True, tag="verdict"):
    """A message: the verdict on a check that another process holds."""

    account_id: str
    check_id: str
    problem: str


class StateChanged(Struct, frozen=True, tag="state"):
    """A message: the state of a process has changed."""


class Written(Struct, frozen=True, tag="written"):
    """A message: a process has committed a write that delivery should hear of."""


Message = Claim | HandedCheck | PassedVerdict | StateChanged | Written
Handler = Callable[[Message, int | None], None]

_MESSAGE: Final = msgspec.msgpack.Decoder(Message)
_STATE: Final = msgspec.msgpack.Decoder(State)


class Nodes(Protocol):
    """The other API nodes of the same database, which tell each other about their delivery processes.

    Attributes:
        version: a number that changes when another node has told something.
    """

    version: int

    def start(self, own: State, changed: Callable[[], None]) -> None:
        """Tell the other nodes about a state from now on, and have a function called when `version` changes."""
        ...

    def publish(self) -> None:
        """Let the other nodes know what has changed in the state. They may miss it."""
        ...

    def states(self) -> Iterable[State]:
        """Return what the others have told, with times by this machine's clock."""
        ...


class Siblings:
    """The other API processes of this server, if there are any, and what other nodes tell.

    Args:
        links: the memory and the sockets that the processes share; None for a single process.
        nodes: the other nodes of the database; None if there can be none.
    """

    def __init__(self, links: SiblingLinks | None = None, nodes: Nodes | None = None) -> None:
        self._links: Final = links
        self._nodes: Final = nodes
        self._handlers: Final[list[Handler]] = []
        self._states: Final[dict[int, State]] = {}
        self._version = 0
        own = links.memory.read_own() if links is not None else b""
        self.own: Final = _STATE.decode(own) if own else State()
        """The state of this process; call `publish` after a change. A restarted process has the state from before."""
        self.own.checks = ()
        self.own.node = self.own.node or secrets.token_hex(8)
        if links is not None:
            while (left := links.receive()) is not None:  # what came for the process before this one
                _close(left[1])
            self.publish()
        if nodes is not None:
            nodes.start(self.own, lambda: self._handle(StateChanged(), None))

    @property
    def exist(self) -> bool:
        """Whether there are other processes, here or at other nodes."""
        return self._links is not None or self._nodes is not None

    @property
    def count(self) -> int:
        """The number of API processes, with this one."""
        return 1 if self._links is None else self._links.count

    def refresh(self) -> int:
        """Read the others' states if they have changed. Return a number that then changes, too."""
        if self._links is not None:
            for index, state in self._links.memory.read_changed():
                self._states[index] = _STATE.decode(state)
                self._version += 1
        return self._version + (0 if self._nodes is None else self._nodes.version)

    @property
    def states(self) -> Iterable[State]:
        """The states of the other processes as of the last `refresh`. Those of other nodes have no checks."""
        if self._nodes is None:
            return self._states.values()
        siblings = {state.node for state in self._states.values()}
        others = (state for state in self._nodes.states() if state.node not in siblings)
        return chain(self._states.values(), others)

    def publish(self) -> None:
        """Let the others see this process's state."""
        if self._nodes is not None:
            self._nodes.publish()
        if self._links is None:
            return
        state = msgspec.msgpack.encode(self.own)
        if len(state) > MOST_BYTES:
            _log.warning("siblings.full", followers=len(self.own.followers), reports=len(self.own.reports))
            newest = sorted(self.own.followers, key=lambda follower: follower.asked_at)
            self.own.followers, self.own.reports = tuple(newest[len(newest) // 2 :]), ()
            self.publish()
            return
        self._links.memory.write(state)
        self.tell(StateChanged())

    def tell(self, message: Message) -> None:
        """Send a message to each other process. One whose inbox is full misses it."""
        if self._links is not None:
            encoded = msgspec.msgpack.encode(message)
            for index in self._links.others:
                self._links.send(index, encoded)

    def claim(self, account_id: str) -> None:
        """Ask each process with waiting code checks of an account for one."""
        if self._links is None:
            return
        self.refresh()
        encoded = msgspec.msgpack.encode(Claim(account_id, self._links.index))
        for index, state in self._states.items():
            if any(checks.account_id == account_id and checks.waiting for checks in state.checks):
                self._links.send(index, encoded)

    def hand_over(self, claimant: int, account_id: str, descriptor: int) -> bool:
        """Send the content of a check to the process that asked for it. Return False if its inbox is full."""
        encoded = msgspec.msgpack.encode(HandedCheck(account_id))
        return self._links is not None and self._links.send(claimant, encoded, descriptor)

    def on_message(self, handler: Handler) -> None:
        """Have a function called with each message that arrives, and the descriptor that came with it or None.

        The handler does not keep the descriptor: it is closed afterwards.
        """
        self._handlers.append(handler)

    def listen(self) -> None:
        """Receive messages on the running event loop."""
        if self._links is not None:
            asyncio.get_running_loop().add_reader(self._links.inbox.fileno(), self._receive)

    def close(self) -> None:
        """Receive no more messages."""
        if self._links is not None:
            asyncio.get_running_loop().remove_reader(self._links.inbox.fileno())

    def _receive(self) -> None:
        """Pass one message to the handlers. The loop calls this again while there are more."""
        received = None if self._links is None else self._links.receive()
        if received is None:
            return
        encoded, descriptor = received
        try:
            self._handle(_MESSAGE.decode(encoded), descriptor)
        finally:
            _close(descriptor)

    def _handle(self, message: Message, descriptor: int | None) -> None:
        """Pass a message to the handlers."""
        for handler in self._handlers:
            handler(message, descriptor)


def _close(descriptor: int | None) -> None:
    """Close a descriptor that came with a message, if any."""
    if descriptor is not None:
        os.close(descriptor)
