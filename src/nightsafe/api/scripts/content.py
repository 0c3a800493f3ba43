"""Serves `…/{script_name}/content` and `/content/v2`: the files of a script, byte for byte."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from nightsafe.api.http.envelope import FIXED_HEADERS, Headers, Reply, success
from nightsafe.api.http.paging import fields_of
from nightsafe.api.http.path import SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.http.streaming import ReplyBuilder
from nightsafe.api.scripts import views
from nightsafe.api.scripts.upload_form import parse_in_thread, read_upload
from nightsafe.bindings.json_fields import need_object
from nightsafe.bundle.fields import BODY_PART
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.modules import MAIN_MODULE, parse_source
from nightsafe.services.services import Services
from nightsafe.services.versions.versions import parse_version_id
from nightsafe.store.bundles import StoredFile
from nightsafe.store.scripts import Version

_MODULE_TYPE = "application/javascript+module"
_MODULE_TYPES = frozenset(
    {
        _MODULE_TYPE,
        "text/javascript+module",
        "application/javascript",
        "text/javascript",
        "text/x-python",
        "text/x-python-requirement",
        "application/wasm",
        "application/json",
        "text/plain",
        "application/octet-stream",
        "application/source-map",
    }
)
_HEADER_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_PART_HEADERS = {b"cf-worker-body-part": BODY_PART, b"cf-worker-main-module-part": MAIN_MODULE}


Read = Callable[[StoredFile], AsyncIterator[bytes]]
"""Yields the contents of a file, slice by slice."""


def resources(services: Services, at: str = SCRIPT) -> list[Resource]:
    """Return the routes of this module with their handlers, below the path of a script."""

    async def get_content(call: Call) -> Reply:
        """GET …/content and …/content/v2: the newest version, or the version in the parameter `version`."""
        version = fields_of(call.query).get("version")
        version_id = None if version is None else parse_version_id(version, "version")
        return as_form(*await services.scripts.files(call.script, version_id), reader(services, call))

    async def put_content(call: Call) -> Reply:
        """PUT …/content."""
        metadata, parts = await read_upload(call, need_metadata=False)
        fields = _with_header_fields(call, metadata)
        source = await parse_in_thread(parts, partial(parse_source, fields, parts, (), call.limits))
        result = await services.scripts.put_content(call.caller, call.script, source)
        return success(views.script(result.script), result.notices)

    return [
        Resource("GET", f"{at}/content", Action.READ_SCRIPTS, get_content),
        Resource("GET", f"{at}/content/v2", Action.READ_SCRIPTS, get_content),
        Resource("PUT", f"{at}/content", Action.WRITE_SCRIPTS, put_content),
    ]


def _with_header_fields(call: Call, metadata: object) -> dict[str, Any]:
    """Return the metadata of a content upload. Headers take precedence over the form."""
    fields = need_object(metadata, "", "'metadata'")
    by_header = {
        member: call.headers[header].decode("latin-1")
        for header, member in _PART_HEADERS.items()
        if call.headers.get(header)
    }
    return fields | by_header


def reader(services: Services, call: Call) -> Read:
    """Return the reader of the account's files."""
    return lambda file: services.contents.slices(call.account_id, file.digest, file.size)


def as_script(version: Version, files: Sequence[StoredFile], read: Read) -> Reply:
    """Return modules in a form, the main module first; for a classic script, the main file itself.

    cloudflare-go, and the Terraform provider that uses it, take any form for a module, and its first part for the
    script.
    """
    first = sorted(files, key=lambda file: file.name != version.main_module)
    return (
        _multipart(version, first, read)
        if views.has_modules(version.settings)
        else _single_file(version, first[0], read)
    )


def as_form(version: Version, files: Sequence[StoredFile], read: Read) -> Reply:
    """Return all files in a form, but the only file of a classic script by itself: clients recognise it by that."""
    if len(files) == 1 and not views.has_modules(version.settings):
        return _single_file(version, files[0], read)
    return _multipart(version, files, read)


def _single_file(version: Version, file: StoredFile, read: Read) -> Reply:
    """Return a file by itself."""
    builder = ReplyBuilder()
    builder.insert(file.size, partial(read, file))
    return builder.reply(_headers(version, _content_type(file).removesuffix("+module").encode()))


def _multipart(version: Version, files: Sequence[StoredFile], read: Read) -> Reply:
    """Return every file in a form."""
    digests, builder = b"".join(file.digest for file in files), ReplyBuilder()
    boundary = hashlib.sha256(digests).hexdigest()[:32].encode()  # derived from the content: no file can contain it
    for file in files:
        builder.add(_part_head(boundary, file))
        builder.insert(file.size, partial(read, file))
        builder.add(b"\r\n")
    builder.add(b"--" + boundary + b"--\r\n")
    return builder.reply(_headers(version, b"multipart/form-data; boundary=" + boundary))


def _headers(version: Version, content_type: bytes) -> Headers:
    """Return the headers of an answer with content; `cf-entrypoint` names the main file."""
    entry = quote(version.main_module, safe=_HEADER_SAFE).encode()
    return (b"content-type", content_type), (b"cf-entrypoint", entry), *FIXED_HEADERS[1:]


def _part_head(boundary: bytes, file: StoredFile) -> bytes:
    """Return the head of a part. Its name is escaped in the way of browsers."""
    name = file.name.encode().replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b\r\n\r\n'
    return head % (boundary, name, name, _content_type(file).encode())


def _content_type(file: StoredFile) -> str:
    """Return a file's Content-Type: a known type, else `application/octet-stream`."""
    bare = file.content_type.partition(";")[0].strip().lower() or _MODULE_TYPE
    return bare if bare in _MODULE_TYPES else "application/octet-stream"
