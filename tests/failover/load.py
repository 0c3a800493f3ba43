"""A steady load of clients on all nodes, which keep a journal of their writes."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.clients.wire.talk import SCRIPTS, form
from tests.failover.client import Answer, Client, NotSentError
from tests.failover.journal import Journal, Outcome, Write
from tests.failover.nodes import Nodes

WRITERS: Final = 20
WRITES_PER_SECOND: Final = 200
READERS: Final = 40
READS_PER_SECOND: Final = 800

_KEPT: Final = 4
"""A write removes the secrets that the writer's fourth write before it has made."""
_OUTCOME_UNKNOWN: Final = 10705
_PAUSE_SECONDS: Final = 0.05
_SECONDS: Final = 120.0


class Load:
    """Clients that write and read until the end of an `async with` block. Each writer has a script of its own.

    Args:
        nodes: the nodes.
        name: the beginning of the scripts' names.
        path: the journal's file.

    Attributes:
        journal: the journal.
        scripts: the scripts' names.
        answers: the number of answers by kind, status and error code.
        unexpected: answers that are neither success nor a refusal that a failover explains.
    """

    def __init__(self, nodes: Nodes, name: str, path: Path) -> None:
        self._nodes = nodes
        self.journal: Final = Journal(path)
        self.scripts: Final = [f"{name}-{number}" for number in range(WRITERS)]
        self.answers: Final[Counter[str]] = Counter()
        self.unexpected: Final[list[str]] = []
        self._last_acknowledged = 0.0
        self._acknowledged = asyncio.Event()
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Make the scripts, and start the clients."""
        content_type, body = form({"metadata": json.dumps({"main_module": "worker.js"}).encode()})
        for number, script in enumerate(self.scripts):
            client = self._nodes.client(number)
            answer = await client.ask("PUT", f"{SCRIPTS}/{script}", body, content_type)
            assert answer.status == 200, answer.body
            client.close()
        clients = [self._write(number) for number in range(WRITERS)] + [
            self._read(number) for number in range(READERS)
        ]
        self._tasks = [asyncio.create_task(client) for client in clients]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the clients after their last answers, and close the journal."""
        self._over = True
        await asyncio.gather(*self._tasks)
        self.journal.close()

    async def next_acknowledged(self, sent_after: float) -> float:
        """Return the time at which a write was acknowledged that was sent after a time.

        Raises:
            TimeoutError: when there is none for two minutes.
        """
        async with asyncio.timeout(_SECONDS):
            while self._last_acknowledged < sent_after:
                self._acknowledged.clear()
                await self._acknowledged.wait()
        return time.monotonic()

    async def _write(self, number: int) -> None:
        """Write at a steady rate."""
        client, interval = self._nodes.client(number), WRITERS / WRITES_PER_SECOND
        count, due = 0, time.monotonic()
        while not self._over:
            count += 1
            await self._write_once(client, Write(self.scripts[number], count))
            due = max(due + interval, time.monotonic())
            await asyncio.sleep(max(due - time.monotonic(), 0))
        client.close()

    async def _write_once(self, client: Client, write: Write) -> None:
        """Send one write once."""
        old = Write(write.script, write.number - _KEPT)
        secrets: dict[str, Any] = {name: {"type": "secret_text", "text": f"value of {name}"} for name in write.names}
        body = json.dumps({"secrets": secrets | dict.fromkeys(old.names)}).encode()
        begun = time.monotonic()
        self.journal.sent(write)
        try:
            answer = await client.ask("PATCH", f"{SCRIPTS}/{write.script}/secrets-bulk", body, _MERGE_PATCH)
        except NotSentError:
            self.journal.answered(write, Outcome.REFUSED)
            self.answers["write not sent"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        except OSError:
            self.answers["write without answer"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        outcome = self._outcome("write", answer)
        self.journal.answered(write, outcome)
        if outcome is Outcome.ACKNOWLEDGED:
            self._last_acknowledged = max(self._last_acknowledged, begun)
            self._acknowledged.set()

    async def _read(self, number: int) -> None:
        """Read at a steady rate."""
        client, interval = self._nodes.client(number), READERS / READS_PER_SECOND
        due = time.monotonic()
        while not self._over:
            try:
                answer = await client.ask("GET", f"{SCRIPTS}/{self.scripts[number % WRITERS]}/secrets")
                self._outcome("read", answer)
            except (NotSentError, OSError):
                self.answers["read without answer"] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
            due = max(due + interval, time.monotonic())
            await asyncio.sleep(max(due - time.monotonic(), 0))
        client.close()

    def _outcome(self, kind: str, answer: Answer) -> Outcome:
        """Return what an answer says, and count it."""
        codes = [error["code"] for error in json.loads(answer.body)["errors"]] if answer.status != 200 else []
        self.answers[" ".join(map(str, (kind, answer.status, *codes)))] += 1
        if answer.status == 200:
            return Outcome.ACKNOWLEDGED
        if answer.status not in {500, 503} or (answer.status == 500 and codes != [_OUTCOME_UNKNOWN]):
            self.unexpected.append(f"{kind} {answer.status} {answer.body[:300]!r}")
        return Outcome.UNKNOWN if _OUTCOME_UNKNOWN in codes else Outcome.REFUSED


_MERGE_PATCH: Final = "application/merge-patch+json"
