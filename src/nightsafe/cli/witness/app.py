"""The HTTP interface of a witness: C2SP tlog-witness, with one prefix for writing and reading."""

import asyncio
import re
from typing import Any, Final

import structlog

from nightsafe.audit.witness.request import MAX_BODY_BYTES
from nightsafe.audit.witness.witness import Witness, WitnessAnswer
from nightsafe.errors import NightsafeError

_log = structlog.get_logger()

_ADD: Final = "/add-checkpoint"
_CHECKPOINT: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_BODY_SECONDS: Final = 30.0
_FAILED: Final = b"the witness cannot read or write its state; its log has the reason\n"


class WitnessApp:
    """An ASGI application that answers for a witness.

    Args:
        witness: the witness.
    """

    def __init__(self, witness: Witness) -> None:
        self._witness: Final = witness

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        try:
            answer, allow = await self._answer(scope["method"], scope["path"], receive)
        except (NightsafeError, OSError) as error:
            reason = error.problems[0].detail if isinstance(error, NightsafeError) else type(error).__name__
            _log.error("witness.failed", reason=reason)
            answer, allow = WitnessAnswer(500, _FAILED), b""
        headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.body))]
        headers += [(b"allow", allow)] if allow else []
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, method: str, path: str, receive: Any) -> tuple[WitnessAnswer, bytes]:
        """Return the answer, and the allowed method if the request has another one."""
        match = _CHECKPOINT.fullmatch(path)
        if path != _ADD and match is None:
            return WitnessAnswer(404, b"not found\n"), b""
        allowed = "POST" if match is None else "GET"
        if method != allowed:
            return WitnessAnswer(405, b"method not allowed\n"), allowed.encode()
        if match is not None:
            return self._witness.checkpoint(match[1]), b""
        body = await _read(receive)
        if body is None:
            return WitnessAnswer(400, b"the body is too large, or did not arrive\n"), b""
        return await self._witness.add_checkpoint(body), b""


async def _read(receive: Any) -> bytes | None:
    """Return the body; None when it is too large or does not arrive in time."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES or message["type"] == "http.disconnect":
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return None
