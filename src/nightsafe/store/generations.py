"""The part of a store's interface that tells of commits, for caches of reads and for tasks that wait for a change."""

from typing import Protocol

from nightsafe.store.scripts import ScriptRef


class Generations(Protocol):
    """Tells of the commits by all processes that share a store.

    Attributes:
        knows_every_commit: whether `generation`, which asks no server, tells every commit at once.
    """

    knows_every_commit: bool

    def generation(self) -> object:
        """Return a value that differs, by ==, after a commit by this process, and soon after one by another process.

        If the store has `knows_every_commit`, it differs at once after any commit.
        """
        ...

    async def identity_generation(self) -> object:
        """Return a value that differs, by ==, after a commit that wrote an identity.

        Caches of accounts, users, memberships and tokens use it. It equals the value of an earlier call only if no
        such commit, by any process, was answered between the beginnings of both calls. Its values are not those of
        `generation`, unless the store has `knows_every_commit`.
        """
        ...

    async def secret_and_identity_generation(self, ref: ScriptRef, name: str) -> tuple[bytes | None, object]:
        """Return what `Store.secret` returns, and `identity_generation` as of the same moment or a later one."""
        ...

    async def changed(self, generation: object, seconds: float) -> None:
        """Wait until `generation` differs from the given one, for at most `seconds`.

        A commit by this process ends the wait at once.
        """
        ...
