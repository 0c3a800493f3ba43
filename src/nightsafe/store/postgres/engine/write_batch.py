"""A group of changes that are committed together, and their answers."""

import time
from asyncio import Future
from collections.abc import Sequence
from typing import Final, NamedTuple

from nightsafe.errors import NightsafeError
from nightsafe.store.changes import Change, Outcome

Answer = Outcome | Exception


class PendingChange(NamedTuple):
    """A change that waits; None is a probe, which proves that writes work.

    Attributes:
        change: the change.
        future: gets its answer.
        since: when it came, by the loop's clock.
    """

    change: Change | None
    future: "Future[Outcome]"
    since: float


class SentCommit(NamedTuple):
    """An attempt to commit a group whose answer is not known.

    Attributes:
        number: the number of the group's first entry in the log.
        leaf: that entry's leaf hash.
        answers: the answer to each change, if the attempt was committed.
        process: the server process that was to commit it.
        at: when it was sent, in seconds since 1970 UTC.
    """

    number: int
    leaf: bytes
    answers: list[Answer]
    process: int
    at: float


class WriteBatch:
    """A group of changes.

    Args:
        batch: the changes, with the futures that wait for them.

    Attributes:
        answers: the answer to each change, as the last attempt came to it.
        sent: the attempts that may be committed. One of them may be so after a look that has not found it in the log,
            because the server gets it late.
    """

    def __init__(self, batch: Sequence[PendingChange]) -> None:
        self.batch: Final = batch
        self.answers: list[Answer] = []
        self.sent: list[SentCommit] = []

    @property
    def changes(self) -> list[Change | None]:
        """The changes."""
        return [pending.change for pending in self.batch]

    @property
    def since(self) -> float:
        """When the first of the changes came."""
        return min(pending.since for pending in self.batch)

    @property
    def size(self) -> int:
        """The size of the group's files, in bytes."""
        return sum(map(size_of, self.changes))

    @property
    def removes(self) -> bool:
        """Whether the group deletes scripts, which may leave rows to purge."""
        return any(change is not None and change.edit is not None and change.edit.remove for change in self.changes)

    def begin_attempt(self) -> None:
        """Begin the answers again."""
        self.answers = []

    def sending(self, number: int, leaf: bytes, process: int) -> None:
        """Note that the next statement may commit the group; see `SentCommit`."""
        self.sent.append(SentCommit(number, leaf, self.answers, process, time.time()))

    def was_not_committed(self) -> None:
        """Note that the statement of this attempt, if there was one, has committed nothing."""
        if self.sent and self.sent[-1].answers is self.answers:
            self.sent.pop()

    def answer_all(self) -> None:
        """Answer every future that still waits."""
        for (_, future, _), answer in zip(self.batch, self.answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def refuse(self, error: NightsafeError) -> None:
        """Answer every future with an exception object of its own."""
        for _, future, _ in self.batch:
            if not future.done():
                future.set_exception(NightsafeError.of(error.problems))


def size_of(change: Change | None) -> int:
    """Return the size of the files that a change uploads, in bytes."""
    if change is None or change.edit is None or change.edit.upload is None:
        return 0
    return sum(len(module.body) for module in change.edit.upload.modules)
