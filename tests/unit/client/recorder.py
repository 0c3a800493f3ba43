"""Transports that answer from a list and record the requests, and both clients over them."""

import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any

from nightsafe.client import AsyncNightsafe, Nightsafe, Request, Response, Timeout

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
Answer = Response | OSError | Callable[[Request], Response]


def answer(
    result: object = None, status: int = 200, headers: Iterable[tuple[str, str]] = (), **more: object
) -> Response:
    """Return an answer in its envelope."""
    envelope = {"result": result, "success": status < 400, "errors": [], "messages": [], **more}
    return raw(json.dumps(envelope).encode(), status, [("content-type", "application/json"), *headers])


def refusal(status: int, *codes: int, headers: Iterable[tuple[str, str]] = (), **more: object) -> Response:
    """Return a refusal with these codes."""
    errors = [{"code": code, "message": f"message of {code}", **more} for code in codes]
    return answer(None, status, headers, success=False, errors=errors)


def raw(body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return any answer."""
    return Response(status, [(name.encode(), shown.encode()) for name, shown in headers], body)


class Recorder:
    """A blocking transport. It fails the test when no answer is left."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.timeouts: list[Timeout] = []
        self.closed = 0

    def send(self, request: Request, timeout: Timeout) -> Response:
        """Record the request and return the next answer."""
        self.requests.append(request)
        self.timeouts.append(timeout)
        assert self.answers, f"an unexpected request: {request!r}"
        given = self.answers.pop(0)
        if isinstance(given, OSError):
            raise given
        return given if isinstance(given, Response) else given(request)

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1

    @property
    def request(self) -> Request:
        """Return the only request."""
        [only] = self.requests
        return only

    @property
    def body(self) -> Any:
        """Return the JSON body of the last request."""
        return json.loads(self.requests[-1].content)


class AsyncRecorder:
    """The same transport for the asynchronous client."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def send(self, request: Request, timeout: Timeout) -> Response:  # noqa: ASYNC109 - the interface has it
        """Record the request and return the next answer."""
        return self._recorder.send(request, timeout)

    async def close(self) -> None:
        """Count the calls."""
        self._recorder.close()


class Either:
    """One of the two clients, over recorded answers; its results go through `settled` and `gathered`.

    Args:
        asynchronous: which of them.
    """

    def __init__(self, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self.recorder = Recorder()

    def over(self, *answers: Answer, **settings: Any) -> Any:
        """Return a client over these answers; by default it has a token and does not seal."""
        self.recorder = Recorder(*answers)
        settings = {
            "api_token": "token-of-the-test",
            "base_url": "https://safe.test/client/v4",
            "seal": False,
            **settings,
        }
        if self.asynchronous:
            return AsyncNightsafe(http_client=AsyncRecorder(self.recorder), **settings)
        return Nightsafe(http_client=self.recorder, **settings)


async def settled(given: Any) -> Any:
    """Return the result of a call to either client."""
    return await given if inspect.isawaitable(given) else given


async def gathered(page: Any) -> list[Any]:
    """Return every item that iterating over a page of either client yields."""
    return [item async for item in page] if hasattr(page, "__aiter__") else list(page)
