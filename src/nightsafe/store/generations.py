"""The part of a store's interface that tells of commits, for caches of reads and for tasks that wait for a change."""

from typing import Protocol


class Generations(Protocol):
    """Tells of the commits by all processes that share a store.

    Attributes:
        knows_every_commit: whether `generation`, which asks no server, is as exact as `fresh_generation`.
    """

    knows_every_commit: bool

    def generation(self) -> object:
        """Return a value that differs, by ==, after a commit by this process, and soon after one by another process.

        If the store has `knows_every_commit`, it differs at once after any commit.
        """
        ...

    async def fresh_generation(self) -> object:
        """Return a value that differs, by ==, after a commit, by any process, that was answered before this call.

        Caches of reads use it. It equals the value of an earlier call only if there was no commit in between. Its
        values are not those of `generation`, unless the store has `knows_every_commit`.
        """
        ...

    async def changed(self, generation: object, seconds: float) -> None:
        """Wait until `generation` differs from the given one, for at most `seconds`.

        A commit by this process ends the wait at once.
        """
        ...
