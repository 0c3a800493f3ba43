"""Sends requests to a real server, and notes what is wrong with its answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, field
from tests.fuzz.api.client import Answer, Connection
from tests.fuzz.api.fuzzed_safe import VALUE
from tests.fuzz.api.process_watch import Watch
from tests.fuzz.api.request_maker import FuzzRequest, RequestParts, request

CLIENTS: Final = 16
_TIMEOUT: Final = 40.0
_TOLD: Final = 20
_SHOWN: Final = 1000
_WORST: Final = 500
_ADMISSION: Final = b"too many large uploads at once"
_SENTINEL: Final = VALUE.encode()
_UNAVAILABLE: Final = 503


class Outcome(Struct):
    """The result of a round.

    Attributes:
        wrong: the first failures, each with the number of its request.
        failures: the number of failures.
        statuses: how often each status was answered.
        slowest: the seconds of the slowest answer that had to be quick, without those that the machine slowed.
        busy: the number of answers that were slow only because the machine was busy.
        seconds: the duration of the round.
    """

    wrong: list[str] = field(default_factory=list)
    failures: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    busy: int = 0
    seconds: float = 0.0

    def refuse(self, sent: FuzzRequest, what: str) -> None:
        """Note what is wrong with the answer to a request."""
        self.failures += 1
        if len(self.wrong) < _TOLD:
            self.wrong.append(f"request {sent.number}: {sent.method} {sent.target[:200]}: {what}")


async def play(
    known: RequestParts,
    watch: Watch,
    seed: int,
    numbers: Iterator[int],
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Send these requests by several clients at once, each over a kept connection.

    Args:
        known: the parts that requests are made of.
        watch: samples the server.
        seed: determines each request, together with its number.
        numbers: the numbers of the requests.
        progress: is called every ten thousand requests with the result so far.
    """
    outcome, began = Outcome(), time.perf_counter()

    async def client() -> None:
        """Send requests until there are no more."""
        kept = Connection(known.port, _TIMEOUT)
        for number in numbers:
            sent = request(known, seed, number)
            over = kept if sent.sound else Connection(known.port, _TIMEOUT)
            answer = await over.ask(sent.data, bare=sent.method == "HEAD", last=not sent.sound)
            judge(outcome, watch, sent, answer)
            if not sum(outcome.statuses.values()) % 10_000:
                progress(outcome)
        kept.close()

    watching = asyncio.create_task(watch.run())
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    watching.cancel()
    await asyncio.sleep(0)  # lets the loop close the last connections
    outcome.seconds = time.perf_counter() - began
    return outcome


def judge(outcome: Outcome, watch: Watch, sent: FuzzRequest, answer: Answer) -> None:
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


def _check_envelope(outcome: Outcome, sent: FuzzRequest, answer: Answer) -> None:
    """Check that JSON is an envelope."""
    if not answer.body.endswith(b"\n") or b"content-length" not in answer.data[:2000].lower():
        return
    try:
        msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["success"]
    except (msgspec.DecodeError, KeyError):
        outcome.refuse(sent, f"no envelope: {answer.data[:_SHOWN]!r} … {answer.data[-_SHOWN:]!r}")


def _check_pace(outcome: Outcome, watch: Watch, sent: FuzzRequest, answer: Answer) -> None:
    """Check that the server's own part of an answer's time is within what it may take."""
    if answer.seconds <= sent.patience:
        outcome.slowest = max(outcome.slowest, answer.seconds if sent.patience == 2.0 else 0.0)
        return
    own = answer.seconds - watch.lost(answer.seconds)
    if own > sent.patience:
        outcome.refuse(sent, f"took {answer.seconds:.1f} s, {own:.1f} of them the server's own")
    else:
        outcome.busy += 1
