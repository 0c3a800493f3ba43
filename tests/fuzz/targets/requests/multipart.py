"""Forms: the first line is the Content-Type, the second the sizes of the chunks, the rest the body."""

import asyncio
from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP

from nightsafe.api.http.multipart import MAX_PARTS, FormPart, parse_form
from nightsafe.errors import Code, NightsafeError

_PLAIN = b"multipart/form-data; boundary=b"


def check(data: bytes) -> None:
    """Check that chunks make no difference, that the parts are in the body, and that the standard library agrees."""
    content_type, _, rest = data.partition(b"\n")
    sizes, _, body = rest.partition(b"\n")
    whole = _parts(content_type, [body])
    step = 1 + sizes[0] if sizes else 1
    assert whole == _parts(content_type, [body[at : at + step] for at in range(0, len(body), step)])
    if whole is None:
        return
    assert len(whole) <= MAX_PARTS
    assert all(bytes(part.body) in body for part in whole)
    if content_type == _PLAIN and body.startswith(b"--b\r\n") and body.endswith(b"\r\n--b--\r\n"):
        _compare(whole, body)


def _parts(content_type: bytes, pieces: list[bytes]) -> list[FormPart] | None:
    """Return the parts, or None if the form is refused."""

    async def chunks() -> AsyncIterator[bytes]:
        """Yield the body in pieces."""
        for piece in pieces:
            yield piece

    try:
        return asyncio.run(parse_form(content_type, chunks()))
    except NightsafeError as refused:
        assert refused.code is Code.SCRIPT_UNPARSABLE
        return None


def _compare(ours: list[FormPart], body: bytes) -> None:
    """Check that the standard library finds as many parts, if the form is plain and without nested line breaks."""
    if (
        b"\n" in body.replace(b"\r\n", b"")
        or b"\r" in body.replace(b"\r\n", b"")
        or b"--b" in body[1:-7].replace(b"\r\n--b\r\n", b"")
    ):
        return
    theirs = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + _PLAIN + b"\r\n\r\n" + body)
    if theirs.is_multipart() and not theirs.defects:
        assert len(theirs.get_payload()) == len(ours)
