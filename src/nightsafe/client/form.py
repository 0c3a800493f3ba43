"""Encodes an upload as `multipart/form-data` (RFC 7578): the modules as parts `files`, then the part `metadata`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import IO, Any, TypeAlias

import msgspec

FileContent: TypeAlias = bytes | str | IO[bytes] | os.PathLike[str]
"""Bytes, text, an open file, or the path of a file."""

File: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
"""A module: its content, or a tuple of file name and content, optionally with media type and further headers."""

_TYPES = {
    ".cjs": "application/javascript",
    ".js": "application/javascript",
    ".json": "application/json",
    ".map": "application/source-map",
    ".mjs": "application/javascript+module",
    ".py": "text/x-python",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
}
_NAMELESS = "upload"


def encode_form(metadata: Mapping[str, Any], files: Sequence[File]) -> tuple[bytes, bytes]:
    """Return the media type and the body of an upload."""
    boundary = os.urandom(16).hex().encode()
    modules = metadata.get("main_module") is not None
    parts = [_file(file, modules=modules) for file in files]
    head = b'Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json\r\n\r\n'
    parts.append(head + msgspec.json.encode(metadata))
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"multipart/form-data; boundary=" + boundary, body + b"--" + boundary + b"--\r\n"


def _file(file: File, *, modules: bool) -> bytes:
    """Return one module's part, without its boundary."""
    name, content, media_type, headers = _unpack_file(file)
    name = name or _name_of(content)
    media_type = media_type or _type_of(name, modules=modules)
    lines = [f'Content-Disposition: form-data; name="files"; filename="{_escape(name)}"']
    lines += [f"Content-Type: {media_type}", *(f"{header}: {value}" for header, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a module's media type or header contains a line break")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + _bytes_of(content)


def _unpack_file(file: File) -> tuple[str | None, FileContent, str | None, Mapping[str, str]]:
    """Return name, content, media type and headers of a module."""
    if not isinstance(file, tuple):
        return None, file, None, {}
    name, content = file[0], file[1]
    return name, content, file[2] if len(file) > 2 else None, file[3] if len(file) > 3 else {}  # noqa: PLR2004


def _name_of(content: FileContent) -> str:
    """Return the name of an open file or of a path."""
    path = content if isinstance(content, os.PathLike) else getattr(content, "name", None)
    return PurePath(path).name if isinstance(path, str | os.PathLike) else _NAMELESS


def _type_of(name: str, *, modules: bool) -> str:
    """Return the media type for a file's name. With `modules`, a name that ends in `.js` is a module."""
    suffix = PurePath(name).suffix.lower()
    if suffix == ".js" and modules:
        return "application/javascript+module"
    return _TYPES.get(suffix, "application/octet-stream")


def _bytes_of(content: FileContent) -> bytes:
    """Return the bytes."""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    if isinstance(content, os.PathLike):
        with open(content, "rb") as opened:  # noqa: PTH123 - any kind of path
            return opened.read()
    return content.read()


def _escape(name: str) -> str:
    """Escape a file name in the way of browsers and HTTP libraries."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
