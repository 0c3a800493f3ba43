"""The knowledge that the API nodes of one database share: which delivery processes follow each of them.

Each node announces its delivery processes, and how far each has acted, whenever that changes. An announcement may be
lost. So a node whose connection was interrupted asks the others to announce everything again, and a write waits for a
delivery process of another node for as long as for one of its own at most.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nightsafe.services.delivery.siblings import Follower, ProcessId, Report, State
from nightsafe.store.announcements import LONGEST_ANNOUNCEMENT, Announcements

_KEPT_SECONDS: Final = 60.0
_MOST_ITEMS: Final = 2000
"""The most followers and reports of other nodes that a node remembers."""

_PART: Final = 12
"""The most followers, and the most reports, in one announcement."""

_Key = tuple[type, str, ProcessId]


class Announcement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an API process tells the other nodes.

    Attributes:
        node: a random id of the API process.
        at: the time by the monotonic clock of its machine, to which the times of followers and reports refer.
        followers: its delivery processes that are new or have changed.
        reports: what it has learned about their credentials.
        asks: whether every other node shall announce everything that it knows.
    """

    node: str
    at: float
    followers: tuple[Follower, ...] = ()
    reports: tuple[Report, ...] = ()
    asks: bool = False


_ANNOUNCEMENT: Final = msgspec.json.Decoder(Announcement)


class _Item(Struct, frozen=True):
    """A follower or report of another node.

    Attributes:
        said_at: its time by the clock of the other machine. It tells whether an announcement is about a new request.
        heard_at: when this node last heard of it, in seconds of its own clock.
        value: the follower or report, with times of this machine's clock.
    """

    said_at: float
    heard_at: float
    value: Follower | Report


class OtherNodes:
    """The other nodes, as the API processes with their own links to the database announce them.

    Args:
        channel: carries the announcements.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, channel: Announcements, clock: Callable[[], float] = time.monotonic) -> None:
        self._channel: Final = channel
        self._clock: Final = clock
        self._own = State()
        self._changed: Callable[[], None] = lambda: None
        self._told: frozenset[Follower | Report] = frozenset()
        self._asks = False
        self._task: asyncio.Task[None] | None = None
        self._items: dict[str, dict[_Key, _Item]] = {}
        self._cleaned_at = 0.0
        self._has_heard = False
        self.version = 0

    def start(self, own: State, changed: Callable[[], None]) -> None:
        """See `Nodes.start`."""
        self._own, self._changed = own, changed
        self._channel.on_announcement(self._take, self._resume)

    def publish(self) -> None:
        """See `Nodes.publish`."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    def states(self) -> Iterator[State]:
        """See `Nodes.states`."""
        for node, items in self._items.items():
            values = [item.value for item in items.values()]
            yield State(
                node=node,
                followers=tuple(value for value in values if isinstance(value, Follower)),
                reports=tuple(value for value in values if isinstance(value, Report)),
            )

    async def _tell(self) -> None:
        """Announce what is new, until nothing is. What changes meanwhile goes together in the next announcement."""
        try:
            while texts := self._news():
                await self._channel.announce(texts)
        finally:
            self._task = None

    def _news(self) -> list[str]:
        """Return the announcements of what the other nodes do not know."""
        credentials = [report for report in self._own.reports if report.held is None]
        known, asks = self._told, self._asks
        self._told, self._asks = frozenset((*self._own.followers, *credentials)), False
        followers = [follower for follower in self._own.followers if follower not in known]
        reports = [report for report in credentials if report not in known]
        texts, now = [], self._clock()
        for start in range(0, max(len(followers), len(reports), int(asks)), _PART):
            part = slice(start, start + _PART)
            announcement = Announcement(
                node=self._own.node,
                at=now,
                followers=tuple(followers[part]),
                reports=tuple(reports[part]),
                asks=asks and start == 0,
            )
            encoded = msgspec.json.encode(announcement)
            if len(encoded) <= LONGEST_ANNOUNCEMENT:
                texts.append(encoded.decode())
        return texts

    def _resume(self) -> None:
        """Announce everything, and ask the others to do so, because announcements may have been lost."""
        self._told, self._asks = frozenset(), True
        self.publish()

    def _take(self, text: str) -> None:
        """Take an announcement in. Whatever has another form is ignored."""
        try:
            announcement = _ANNOUNCEMENT.decode(text)
        except msgspec.DecodeError:
            return
        if announcement.node == self._own.node:
            return
        if announcement.asks:
            self._told = frozenset()
            self.publish()
        now = self._clock()
        self._clean(now)
        for follower in announcement.followers:
            self._keep(announcement, follower, follower.asked_at, now)
        for report in announcement.reports:
            self._keep(announcement, report, report.at, now)
        self.version += 1
        if not self._has_heard:
            self._has_heard = True
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        """Have what has arrived together taken in together."""
        self._has_heard = False
        self._changed()

    def _keep(self, announcement: Announcement, told: Follower | Report, said_at: float, now: float) -> None:
        """Keep a follower or report, with its times by this machine's clock.

        The time of a request is computed only once, so that it tells one request from the next here, too.
        """
        items = self._items.setdefault(announcement.node, {})
        key = (type(told), told.account_id, told.process_id)
        before = items.get(key)
        if before is None and sum(map(len, self._items.values())) >= _MOST_ITEMS:
            return
        at = now - max(0.0, announcement.at - said_at)
        if before is not None and before.said_at == said_at:
            at = before.value.asked_at if isinstance(before.value, Follower) else before.value.at
        if isinstance(told, Follower):
            last = now - max(0.0, announcement.at - told.last_request_at)
            value: Follower | Report = replace(told, asked_at=at, last_request_at=last)
        else:
            value = replace(told, at=at)
        items[key] = _Item(said_at, now, value)

    def _clean(self, now: float) -> None:
        """Forget what nobody has announced for a while, from time to time."""
        if now - self._cleaned_at < _KEPT_SECONDS / 2:
            return
        self._cleaned_at = now
        for node, items in tuple(self._items.items()):
            fresh = {key: item for key, item in items.items() if now - item.heard_at < _KEPT_SECONDS}
            if fresh:
                self._items[node] = fresh
            else:
                del self._items[node]
