"""Requests sent again after an unknown outcome: which are the same, and what each gets."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest

from nightsafe.api import body_digest, unsettled_writes
from nightsafe.api.http.body import Message, chunks
from nightsafe.api.http.envelope import Reply
from nightsafe.api.http.request import Call
from nightsafe.api.unsettled_writes import UnsettledWrites, Write
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.grants import Grants
from nightsafe.identity.service import Principal
from nightsafe.services.caller import Caller
from nightsafe.services.limits import Limits
from nightsafe.store.changes import Outcome, OutcomeUnknownError, commit_watcher, is_tried_again

LIMITS: Final = Limits(body_seconds=1)


class Requests:
    """Requests whose handler reads the body and commits once."""

    def __init__(self) -> None:
        self.writes = UnsettledWrites()
        self.outcome: asyncio.Future[Outcome] | None = None
        self.made: list[bytes] = []
        self.sent: list[dict[str, Any]] = []
        self.times_unknown = 1
        self.is_newest = True
        self.remembers = True
        self.reads_body = True

    def lose(self) -> None:
        """Let the next commit be unknown until its outcome is set."""
        self.outcome = asyncio.get_running_loop().create_future()

    async def handle(self, call: Call) -> Reply:
        """Read the body, commit, and answer."""
        body = b""
        if self.reads_body:
            body = b"".join([part async for part in chunks(call.receive, 1 << 30, 1, Code.BODY_TOO_LARGE)])
        for _ in range(self.times_unknown):
            await self.commit()
        self.made.append(body)
        return Reply(200, b"answer %d" % len(self.made))

    async def commit(self) -> None:
        """Commit, as a store does."""
        watcher = commit_watcher.get(None)
        if self.outcome is not None:
            error = OutcomeUnknownError(Code.OUTCOME_UNKNOWN, "unknown")
            error.outcome = self.outcome
            if watcher is None or not await watcher.unknown(error):
                raise error
            await error.outcome
        if watcher is not None:
            watcher.committed(self.tell_newest)

    async def tell_newest(self) -> bool:
        """Return whether nothing has followed the commits."""
        return self.is_newest

    async def send(self, message: dict[str, Any]) -> None:
        """Take a message of an answer."""
        self.sent.append(message)

    async def ask(self, *parts: bytes, **changes: Any) -> Reply:
        """Make a request, and return the handler's answer."""
        write = Write(self.writes, self.send)
        try:
            return await write.reply(call(parts, **changes), self.handle, remembers=self.remembers)
        finally:
            write.end()

    async def ask_and_lose(self, *parts: bytes, **changes: Any) -> "asyncio.Task[Reply]":
        """Begin a request whose outcome is unknown, until it was answered; the task ends when the outcome is set."""
        self.lose()
        asked = asyncio.create_task(self.ask(*parts, **changes))
        while len(self.sent) < 2:  # noqa: ASYNC110 - the answer's two messages
            await asyncio.sleep(0)
        return asked

    def settle(self) -> None:
        """Tell that the commit was kept."""
        assert self.outcome is not None
        outcome, self.outcome = self.outcome, None
        outcome.set_result(Outcome())


def call(parts: Sequence[bytes], **changes: Any) -> Call:
    """Return a request whose body arrives in these parts; `changes` are of `given` here."""
    given: dict[str, Any] = {
        "principal": "t" * 32,
        "method": "PUT",
        "path": "/client/v4/a",
        "query": b"",
        "content_type": b"application/json",
    }
    given |= changes
    left = [*parts]

    async def receive() -> Message:
        """Return the next part."""
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    principal = Principal(kind="token", id=given["principal"], user_id="u" * 32, email="", grants=Grants([]))
    return Call(
        caller=Caller(principal, method=given["method"], path=given["path"]),
        account_id="",
        names={},
        query=given["query"],
        headers={b"content-type": given["content_type"]},
        receive=receive,
        limits=LIMITS,
    )


async def test_the_same_request_gets_the_answer_of_the_first() -> None:
    """However its body is cut into parts, the same request is answered as the first, once; then it is made."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"bo", b"dy")
    requests.settle()
    first = await asked

    assert 503 == requests.sent[0]["status"]
    assert first == await requests.ask(b"b", b"ody")
    assert [b"body"] == requests.made
    assert first != await requests.ask(b"b", b"ody")


async def test_a_request_that_something_has_followed_is_made() -> None:
    """If something was written about the same meanwhile, the same request is made, like a new one."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    requests.settle()
    await asked
    requests.is_newest = False

    assert b"answer 2" == (await requests.ask(b"body")).body


async def test_of_many_repetitions_one_is_made() -> None:
    """If the first was not kept, one of the repetitions that wait for it is made, and the others get its answer."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    again = [asyncio.create_task(requests.ask(b"body")) for _ in range(5)]
    await asyncio.sleep(0)
    assert requests.outcome is not None
    requests.outcome.set_exception(NightsafeError(Code.STORE, "not kept"))
    requests.outcome = None
    with pytest.raises(NightsafeError):
        await asked

    assert [b"answer 1"] * 5 == [reply.body for reply in await asyncio.gather(*again)]
    assert [b"body"] == requests.made


async def test_a_body_that_the_handler_does_not_read_is_compared() -> None:
    """A body that the handler ignores makes the same request all the same, or another one."""
    requests = Requests()
    requests.reads_body = False
    asked = await requests.ask_and_lose(b"{", b"}")
    requests.settle()
    first = await asked

    assert first != await requests.ask(b"{} ")
    assert first == await requests.ask(b"{}")


async def test_a_kept_change_is_never_told_to_be_absent() -> None:
    """A request whose read finds no primary after its commit is answered with an unknown outcome, and goes on.

    One with a large body, whose memory others wait for, ends with that answer.
    """
    requests = Requests()

    async def read_after_commit(_: Call) -> Reply:
        """Commit, and read while there is no primary."""
        assert not await is_tried_again(NightsafeError(Code.NO_PRIMARY))
        await requests.commit()
        assert await is_tried_again(NightsafeError(Code.NO_PRIMARY))
        assert not await is_tried_again(NightsafeError(Code.STORE))
        return Reply(200, b"kept")

    small, large = (Write(requests.writes, requests.send) for _ in range(2))
    assert b"kept" == (await small.reply(call([b""]), read_after_commit, remembers=True)).body
    with pytest.raises(NightsafeError) as refused:
        await large.reply(call([b""]), read_after_commit, remembers=False)

    assert Code.OUTCOME_UNKNOWN == refused.value.code
    assert [503] == [message["status"] for message in requests.sent if "status" in message]


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (b"Body", {}),
        (b"body", {"principal": "o" * 32}),
        (b"body", {"method": "POST"}),
        (b"body", {"path": "/client/v4/b"}),
        (b"body", {"query": b"force=true"}),
        (b"body", {"content_type": b"text/plain"}),
    ],
)
async def test_another_request_is_made(body: bytes, changes: dict[str, Any]) -> None:
    """A request that differs in its caller, method, path, query, type or body is made, with its whole body."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    requests.settle()
    await asked

    assert b"answer 2" == (await requests.ask(body[:2], body[2:], **changes)).body
    assert [b"body", body] == requests.made


async def test_a_form_is_the_same_with_another_boundary() -> None:
    """Forms are compared without the boundary, wherever their parts are cut."""
    requests = Requests()
    kind = b"multipart/form-data; boundary="
    asked = await requests.ask_and_lose(b"--xyz\r\nA\r\n--xy", b"z--", content_type=kind + b'"xyz"')
    requests.settle()
    first = await asked

    assert first != await requests.ask(b"--12345\r\nB\r\n--12345--", content_type=kind + b"12345")
    assert first == await requests.ask(b"--1234", b"5\r\nA\r\n--12345--", content_type=kind + b"12345")


async def test_what_was_not_kept_is_made_again() -> None:
    """If the first commit was not made, the same request makes it."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    assert requests.outcome is not None
    requests.outcome.set_exception(NightsafeError(Code.STORE, "not kept"))
    requests.outcome = None
    with pytest.raises(NightsafeError):
        await asked

    assert b"answer 1" == (await requests.ask(b"body")).body


async def test_while_the_outcome_is_unknown_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request is answered that its outcome is unknown, after a wait; the first is made once."""
    monkeypatch.setattr(unsettled_writes, "_WAIT_SECONDS", 0.05)
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    with pytest.raises(NightsafeError) as refused:
        await requests.ask(b"body")
    requests.settle()

    assert Code.OUTCOME_UNKNOWN == refused.value.code
    assert await asked == await requests.ask(b"body")


@pytest.mark.parametrize("takes_memory", [False, True])
async def test_a_large_body_is_not_compared(monkeypatch: pytest.MonkeyPatch, *, takes_memory: bool) -> None:
    """A request with a large body, or one that takes memory that others wait for, ends, and is made again, whole."""
    if not takes_memory:
        monkeypatch.setattr(body_digest, "_MOST_BYTES", 4)
    requests = Requests()
    requests.remembers = not takes_memory
    requests.lose()
    with pytest.raises(OutcomeUnknownError):
        await requests.ask(b"12345", b"6789", b"0")
    requests.outcome = None

    await requests.ask(b"12345", b"6789", b"0")
    assert [b"1234567890"] == requests.made
    assert [] == requests.sent


async def test_only_the_requests_own_task_waits() -> None:
    """An unknown commit of a task that a request has started answers nobody."""
    requests = Requests()
    requests.lose()

    async def start_a_task(_: Call) -> Reply:
        """Commit in another task."""
        with pytest.raises(OutcomeUnknownError):
            await asyncio.create_task(requests.commit())
        return Reply(200, b"")

    write = Write(requests.writes, requests.send)
    assert 200 == (await write.reply(call([b""]), start_a_task, remembers=True)).status
    write.end()
    assert [] == requests.sent


async def test_other_tasks_learn_nothing_of_a_commit() -> None:
    """A task that was started in a request, such as one that reads for many, fails as if it belonged to nobody."""
    requests = Requests()

    async def read_in_a_task(_: Call) -> Reply:
        """Commit, and read in another task while there is no primary."""
        await requests.commit()
        tried_again = await asyncio.create_task(is_tried_again(NightsafeError(Code.NO_PRIMARY)))
        return Reply(200, b"%d" % tried_again)

    for remembers in (True, False):
        write = Write(requests.writes, requests.send)
        assert b"0" == (await write.reply(call([b""]), read_in_a_task, remembers=remembers)).body
        write.end()
    assert [] == requests.sent


async def test_the_server_stops_without_the_outcome() -> None:
    """The end of the server ends the waits, and the request's answer is sent to nobody."""
    requests = Requests()
    asked = await requests.ask_and_lose(b"body")
    requests.writes.end()
    with pytest.raises(NightsafeError) as ended:
        await asked

    assert Code.STORE == ended.value.code
    assert 2 == len(requests.sent)


async def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many unknown writes, the oldest is forgotten, and each is forgotten after a while."""
    monkeypatch.setattr(unsettled_writes, "_MOST_WRITES", 2)
    monkeypatch.setattr(unsettled_writes, "_KEPT_SECONDS", 0.05)
    requests = Requests()
    for body in (b"1", b"2", b"3"):
        requests.sent.clear()
        asked = await requests.ask_and_lose(body)
        requests.settle()
        await asked
    await requests.ask(b"1")
    await requests.ask(b"3")
    assert [b"1", b"2", b"3", b"1"] == requests.made

    await asyncio.sleep(0.2)
    assert not requests.writes.has_like(call([b""]))
    await requests.ask(b"2")
    assert [b"1", b"2", b"3", b"1", b"2"] == requests.made
