"""Requests against a real server, and what is wrong with its answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, field
from tests.fuzz.api.asking import Known, Sent, request
from tests.fuzz.api.client import Answer, Connection
from tests.fuzz.api.scene import VALUE
from tests.fuzz.api.watching import Watch

CLIENTS: Final = 16
_TIMEOUT: Final = 40.0
_TOLD: Final = 20
_SHOWN: Final = 1000
_WORST: Final = 500
_ADMISSION: Final = b"too many large uploads at once"
_SENTINEL: Final = VALUE.encode()
_UNAVAILABLE: Final = 503


class Outcome(Struct):
    """What came of a round.

    Attributes:
        wrong: what was wrong, with the number of the request; the first so many.
        failures: how much was wrong.
        statuses: how often each.
        slowest: seconds of the slowest answer that had to be quick, without what the machine took.
        busy: answers that were only slow because the machine was busy.
        seconds: that the round took.
    """

    wrong: list[str] = field(default_factory=list)
    failures: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    busy: int = 0
    seconds: float = 0.0

    def refuse(self, sent: Sent, what: str) -> None:
        """Note what is wrong with the answer to a request."""
        self.failures += 1
        if len(self.wrong) < _TOLD:
            self.wrong.append(f"request {sent.number}: {sent.method} {sent.target[:200]}: {what}")


async def play(
    known: Known, watch: Watch, seed: int, numbers: Iterator[int], told: Callable[[Outcome], None] = lambda _: None
) -> Outcome:
    """Send these requests by several clients at once, each over a connection that it keeps.

    Args:
        known: what requests are made of.
        watch: over the server.
        seed: with a request's number, all that it depends on.
        numbers: of the requests.
        told: is told every ten thousand requests how it stands.
    """
    outcome, began = Outcome(), time.perf_counter()

    async def client() -> None:
        """Send what is still to be sent."""
        kept = Connection(known.port, _TIMEOUT)
        for number in numbers:
            sent = request(known, seed, number)
            over = kept if sent.sound else Connection(known.port, _TIMEOUT)
            answer = await over.ask(sent.data, bare=sent.method == "HEAD", last=not sent.sound)
            judge(outcome, watch, sent, answer)
            if not sum(outcome.statuses.values()) % 10_000:
                told(outcome)
        kept.close()

    watching = asyncio.create_task(watch.run())
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    watching.cancel()
    await asyncio.sleep(0)  # the loop lets go of what was closed last
    outcome.seconds = time.perf_counter() - began
    return outcome


def judge(outcome: Outcome, watch: Watch, sent: Sent, answer: Answer) -> None:
    """Note what is wrong with an answer: none, a 5xx, a sentinel, no envelope, or too late."""
    outcome.statuses[answer.status] += 1
    if _SENTINEL in answer.data:
        outcome.refuse(sent, "the answer holds a sentinel")
    if sent.sound and answer.status <= 0:
        outcome.refuse(sent, "hung up without an answer" if not answer.status else f"no answer in {_TIMEOUT} seconds")
    if answer.status >= _WORST and not (answer.status == _UNAVAILABLE and _ADMISSION in answer.data):
        outcome.refuse(sent, f"{answer.status}: {answer.body[:200]!r}")
    if sent.sound and b"\r\ncontent-type: application/json" in answer.data[:2000].lower() and answer.body:
        _check_envelope(outcome, sent, answer)
    _check_pace(outcome, watch, sent, answer)


def _check_envelope(outcome: Outcome, sent: Sent, answer: Answer) -> None:
    """JSON is an envelope."""
    if not answer.body.endswith(b"\n") or b"content-length" not in answer.data[:2000].lower():
        return
    try:
        msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["success"]
    except (msgspec.DecodeError, KeyError):
        outcome.refuse(sent, f"no envelope: {answer.data[:_SHOWN]!r} … {answer.data[-_SHOWN:]!r}")


def _check_pace(outcome: Outcome, watch: Watch, sent: Sent, answer: Answer) -> None:
    """The server's own part of an answer's time is within what it may take."""
    if answer.seconds <= sent.patience:
        outcome.slowest = max(outcome.slowest, answer.seconds if sent.patience == 2.0 else 0.0)
        return
    own = answer.seconds - watch.lost(answer.seconds)
    if own > sent.patience:
        outcome.refuse(sent, f"took {answer.seconds:.1f} s, {own:.1f} of them the server's own")
    else:
        outcome.busy += 1
