"""Reads a multipart body: a script upload, or a single JSON value or text in a part."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from nightsafe.api.http.body import chunks, parse_json_in_thread
from nightsafe.api.http.multipart import FormPart, parse_form
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.request import Call
from nightsafe.bundle.fields import BODY_PART
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.upload import ParsedUpload, parse_upload

T = TypeVar("T")

_METADATA = "metadata"
_ASIDE = 1024 * 1024
_CLASSIC_TYPES = frozenset({b"application/javascript", b"text/javascript"})
_CLASSIC_NAME = "worker.js"
_FORM = b"multipart/form-data"
_FORM_MARKS = (b"--", b"\r\nContent-Disposition: form-data;")
_FORM_MARKS_WITHIN = 256


async def read_upload(call: Call, *, need_metadata: bool = True) -> tuple[Any, Sequence[Part]]:
    """Return the metadata and the files of an upload. The body is a form, or a classic script.

    Args:
        call: the request.
        need_metadata: whether a form without metadata is refused; otherwise it has the metadata `{}`.

    Raises:
        NightsafeError: CONTENT_TYPE, SCRIPT_UNPARSABLE, SCRIPT_TOO_LARGE, BODY_UNREADABLE or TIMEOUT; INVALID, for a
            form without metadata.
    """
    content_type = _bare_type(call)
    if content_type in _CLASSIC_TYPES:
        source = await _classic(call)
        return {BODY_PART: _CLASSIC_NAME}, [Part(_CLASSIC_NAME, content_type.decode(), source)]
    if content_type != _FORM:
        raise NightsafeError(Code.CONTENT_TYPE, f"send {_FORM.decode()} with a part '{_METADATA}'")
    form = await _form(call, call.limits.max_upload_bytes, Code.SCRIPT_TOO_LARGE)
    named = any(part.name == _METADATA for part in form)
    if need_metadata and not named:
        raise NightsafeError(Code.INVALID, _missing(form, _METADATA))
    metadata = await _json_in(form, _METADATA, call.limits.max_metadata_bytes) if named else {}
    files = [Part(part.name, part.content_type, part.body, part.filename) for part in form if part.name != _METADATA]
    return metadata, files


async def parse_in_thread(files: Sequence[Part], parse: Callable[[], T]) -> T:
    """Parse an upload, in a thread if it has large files: their digests alone would block other requests."""
    return await asyncio.to_thread(parse) if sum(len(file.body) for file in files) > _ASIDE else parse()


async def read_parsed_upload(call: Call, *, deployed: bool) -> ParsedUpload:
    """Return a whole upload, after every check that does not need the store.

    Args:
        call: the request.
        deployed: whether the new version is served at once.

    Raises:
        NightsafeError: as `read_upload` and `parse_upload`.
    """
    metadata, files = await read_upload(call)
    return await parse_in_thread(files, partial(parse_upload, metadata, files, call.limits, deployed=deployed))


async def read_json_part(call: Call, name: str) -> Any:
    """Return the JSON value in the part of a form with this name; there must be exactly one.

    Raises:
        NightsafeError: CONTENT_TYPE, SCRIPT_UNPARSABLE, NO_SETTINGS, BODY_TOO_LARGE, BODY_UNREADABLE or TIMEOUT.
    """
    if _bare_type(call) != _FORM:
        raise NightsafeError(Code.CONTENT_TYPE, f"send {_FORM.decode()} with a part '{name}'")
    form = await _form(call, call.limits.max_body_bytes, Code.BODY_TOO_LARGE)
    if all(part.name != name for part in form):
        raise NightsafeError(Code.NO_SETTINGS, _missing(form, name))
    return await _json_in(form, name, call.limits.max_metadata_bytes)


async def read_text_part(call: Call, name: str) -> str:
    """Return the text in the part of a form with this name; "" without a form or without the part.

    Raises:
        NightsafeError: SCRIPT_UNPARSABLE, BODY_TOO_LARGE or TIMEOUT.
    """
    if _bare_type(call) != _FORM:
        return ""
    form = await _form(call, call.limits.max_body_bytes, Code.BODY_TOO_LARGE)
    return next((part.body.decode("utf-8", "replace") for part in form if part.name == name), "")


def is_strict(call: Call) -> bool:
    """Tell whether a binding that cannot be inherited is refused instead of dropped.

    Raises:
        NightsafeError: INVALID, for an unknown value of the query parameter.
    """
    inherit_mode = fields_of(call.query).get("bindings_inherit")
    if inherit_mode not in {None, "strict"}:
        raise NightsafeError(Code.INVALID, "'bindings_inherit' must be strict or absent")
    return inherit_mode is not None


def _bare_type(call: Call) -> bytes:
    """Return the Content-Type without parameters. Refuse a compressed body."""
    call.refuse_encoding()
    return call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


async def _form(call: Call, max_bytes: int, too_large: Code) -> Sequence[FormPart]:
    """Return the parts of the body."""
    body = chunks(call.receive, max_bytes, call.limits.body_seconds, too_large)
    return await parse_form(call.headers[b"content-type"], body)


async def _classic(call: Call) -> bytes:
    """Return the whole body as a script. A form with a wrong Content-Type is refused: it may hold secrets."""
    body = chunks(call.receive, call.limits.max_upload_bytes, call.limits.body_seconds, Code.SCRIPT_TOO_LARGE)
    source = bytearray()
    async for chunk in body:
        source += chunk
    opening, mark = _FORM_MARKS
    if source.startswith(opening) and mark in source[:_FORM_MARKS_WITHIN]:
        raise NightsafeError(
            Code.SCRIPT_UNPARSABLE, f"the body is a form: send it as {_FORM.decode()} with its boundary"
        )
    return cast("bytes", source)  # not copied, as for a large part of a form


async def _json_in(form: Sequence[FormPart], name: str, max_bytes: int) -> Any:
    """Return the JSON value of the one part with this name."""
    parts = [part for part in form if part.name == name]
    if len(parts) != 1:
        raise NightsafeError(Code.SCRIPT_UNPARSABLE, _missing(form, name))
    if len(parts[0].body) > max_bytes:
        raise NightsafeError(Code.SCRIPT_UNPARSABLE, f"the part '{name}' is over {max_bytes} bytes")
    return await parse_json_in_thread(parts[0].body)


def _missing(form: Sequence[FormPart], name: str) -> str:
    """Return the advice about a missing or duplicate part, or a value that a client has spread over several parts."""
    spread = any(part.name.startswith(f"{name}[") for part in form)
    return f"the form must have one part '{name}' with JSON" + (f", not parts '{name}[…]'" if spread else "")
