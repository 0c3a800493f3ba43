"""Parses a multipart body in memory, because its parts may hold secrets, which must not reach a file."""

import re
from collections.abc import AsyncIterator
from typing import cast

import python_multipart.multipart as form
from msgspec import Struct
from python_multipart.exceptions import FormParserError

from nightsafe.errors import Code, NightsafeError

MAX_PARTS = 1001
_MAX_COPIED_BYTES = 1024 * 1024
_METADATA = "metadata"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class FormPart(Struct, frozen=True):
    """One part of a form.

    Attributes:
        name: the name of the form's field.
        filename: the file name, or None.
        content_type: the Content-Type, or "".
        body: the content.
    """

    name: str
    filename: str | None
    content_type: str
    body: bytes


class _Collector:
    """Gathers parts from the parser's callbacks."""

    def __init__(self) -> None:
        self.parts: list[FormPart] = []
        self.ended = False
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._body = bytearray()

    def on_part_begin(self) -> None:
        """Start a part."""
        if len(self.parts) >= MAX_PARTS:
            raise _unreadable(f"the form has more than {MAX_PARTS} parts")
        self._headers, self._body = {}, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Extend the name of a header."""
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Extend the value of a header."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """Keep a header. Refuse a lone line feed, because later readers would take it for the end of the header."""
        if _CONTROL.search(self._value):
            raise _unreadable("a header of a part contains a control character")
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Extend the body."""
        with memoryview(data) as view:
            self._body += view[start:end]

    def on_part_end(self) -> None:
        """Finish a part."""
        kind, options = form.parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise _unreadable("a part of the form has no name in its Content-Disposition")
        filename = options.get(b"filename")
        name, file = _text(options[b"name"]), None if filename is None else _text(filename)
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        body = _part_content(self._body, is_file=file is not None and name != _METADATA)
        self.parts.append(FormPart(name, file, content_type, body))

    def on_end(self) -> None:
        """Note the closing boundary."""
        self.ended = True


async def parse_form(content_type: bytes, body: AsyncIterator[bytes]) -> list[FormPart]:
    """Return the parts of a `multipart/form-data` body, in order.

    Raises:
        NightsafeError: SCRIPT_UNPARSABLE, with the fault of the form; also any error of reading the body.
    """
    kind, options = form.parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise _unreadable("send multipart/form-data with a boundary")
    collector = _Collector()
    callbacks = {name: getattr(collector, name) for name in dir(collector) if name.startswith("on_")}
    try:
        parser = form.MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type] # a dict of callables
        async for chunk in _from_boundary(b"--" + options[b"boundary"], body):
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise _unreadable("the form's boundaries do not match its Content-Type") from None
    if not collector.ended:
        raise _unreadable("the form ends before its closing boundary")
    return collector.parts


async def _from_boundary(boundary: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the body, which must begin with the boundary.

    RFC 2046 allows text before the boundary, but no client sends any. The parser would accept or refuse such text
    depending on how the network split it.
    """
    begun, start = False, b""
    async for chunk in body:
        if begun:
            yield chunk
            continue
        start += chunk
        begun = len(start) >= len(boundary)
        if not boundary.startswith(start[: len(boundary)]):
            raise _unreadable("the form does not begin with the boundary that its Content-Type names")
        if begun:
            yield start


def _part_content(body: bytearray, *, is_file: bool) -> bytes:
    """Return the content of a part.

    A large file is not copied, because a copy would take as much memory again and block other requests. A part that
    is not a file may be JSON with secrets. It stays a `bytearray`, which is wiped after parsing.
    """
    return bytes(body) if is_file and len(body) <= _MAX_COPIED_BYTES else cast("bytes", body)


def _text(value: bytes) -> str:
    """Return a name in the form as text."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _unreadable("a name in the form is not UTF-8") from None


def _unreadable(reason: str) -> NightsafeError:
    """Return the refusal of a form, with the reason."""
    return NightsafeError(Code.SCRIPT_UNPARSABLE, reason)
