"""`…/workers/scripts`, `/{script_name}` and `/{script_name}/settings`."""

import datetime as dt
import secrets as random
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec

from nightsafe.api.body import chunks, parse_json
from nightsafe.api.call import Call
from nightsafe.api.envelope import FIXED_HEADERS, Reply, success
from nightsafe.api.multipart import FormPart, parse_form
from nightsafe.api.routing import Resource
from nightsafe.api.secrets import SCRIPT
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.store.model import Module, Script
from nightsafe.workers.scripts import Scripts
from nightsafe.workers.upload import Part, parse_upload

_CLASSIC_TYPES = frozenset({b"application/javascript", b"text/javascript"})
_CLASSIC_NAME = "worker.js"
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
_MICROSECONDS = 1_000_000


def resources(scripts: Scripts) -> list[Resource]:
    """The routes of this page with their handlers."""

    async def list_scripts(call: Call) -> Reply:
        """GET …/scripts: those that no policy keeps from the caller."""
        every, grants = await scripts.list(call.account_id), call.caller.principal.grants
        return success(
            [
                _shown(script)
                for script in every
                if grants.allow(Action.READ_SCRIPTS, policy.Resource(call.account_id, script.ref.name))
            ]
        )

    async def upload(call: Call) -> Reply:
        """PUT …/scripts/{script_name}."""
        metadata, parts = await _read_upload(call)
        parsed = parse_upload(metadata, parts, call.limits)
        strict = "strict" in parse_qs(call.query.decode("latin-1")).get("bindings_inherit", ())
        script, version_id = await scripts.upload(call.caller, call.script, parsed, strict_inherit=strict)
        made = {"deployment_id": version_id.replace("-", ""), "startup_time_ms": 0, "entry_point": parsed.main_module}
        return success(_shown(script) | made)

    async def content(call: Call) -> Reply:
        """GET …/scripts/{script_name}."""
        script, modules = await scripts.content(call.script)
        return _content(script, modules)

    async def delete(call: Call) -> Reply:
        """DELETE …/scripts/{script_name}."""
        return success({"id": await scripts.delete(call.caller, call.script)})

    async def settings(call: Call) -> Reply:
        """GET …/scripts/{script_name}/settings."""
        kept, bindings = await scripts.settings(call.script)
        return success(_DEFAULT_SETTINGS | kept | {"bindings": [msgspec.Raw(one.shown) for one in bindings]})

    return [
        Resource("GET", SCRIPT.rpartition("/")[0], Action.READ_SCRIPTS, list_scripts),
        Resource("PUT", SCRIPT, Action.WRITE_SCRIPTS, upload),
        Resource("GET", SCRIPT, Action.READ_SCRIPTS, content),
        Resource("DELETE", SCRIPT, Action.WRITE_SCRIPTS, delete),
        Resource("GET", f"{SCRIPT}/settings", Action.READ_SCRIPTS, settings),
    ]


_DEFAULT_SETTINGS: dict[str, Any] = {
    "placement": {},
    "compatibility_date": "",
    "compatibility_flags": [],
    "usage_model": "standard",
    "tags": [],
    "tail_consumers": [],
    "logpush": False,
}


async def _read_upload(call: Call) -> tuple[Any, Sequence[Part]]:
    """The metadata and the files of an upload: a form, or a classic script as the whole body."""
    call.refuse_encoding()
    content_type = call.headers.get(b"content-type", b"")
    limits = call.limits
    body = chunks(call.receive, limits.max_upload_bytes, limits.body_seconds, Code.SCRIPT_TOO_LARGE)
    bare = content_type.partition(b";")[0].strip().lower()
    if bare in _CLASSIC_TYPES:
        source = b"".join([chunk async for chunk in body])
        return {"body_part": _CLASSIC_NAME}, [Part(_CLASSIC_NAME, bare.decode(), source)]
    if bare != b"multipart/form-data":
        raise NightsafeError(Code.CONTENT_TYPE, "send multipart/form-data with a part 'metadata'")
    return _sort(await parse_form(content_type, body), limits.max_metadata_bytes)


def _sort(form: Sequence[FormPart], most: int) -> tuple[Any, list[Part]]:
    """The metadata apart from the files. A file is known by its file name or, lacking one, its part's name."""
    metadata = [part for part in form if part.name == "metadata"]
    if len(metadata) != 1:
        raise NightsafeError(Code.SCRIPT_UNPARSABLE, "the form must have one part 'metadata' with JSON")
    if len(metadata[0].body) > most:
        raise NightsafeError(Code.SCRIPT_UNPARSABLE, f"the part 'metadata' is over {most} bytes")
    files = [
        Part(part.filename or part.name, part.content_type, part.body) for part in form if part.name != "metadata"
    ]
    return parse_json(metadata[0].body), files


def _shown(script: Script) -> dict[str, Any]:
    """A script as lists and uploads show it."""
    settings = msgspec.json.decode(script.settings)
    of_script = msgspec.json.decode(script.script_settings)
    return {
        "id": script.ref.name,
        "tag": script.id,
        "tags": of_script.get("tags"),
        "etag": script.etag,
        "handlers": [],
        "has_assets": False,
        "has_modules": "body_part" not in settings,
        "created_on": _time(script.created_on),
        "modified_on": _time(script.modified_on),
        "compatibility_date": settings.get("compatibility_date", ""),
        "compatibility_flags": settings.get("compatibility_flags") or [],
        "usage_model": settings.get("usage_model", "standard"),
        "last_deployed_from": script.source,
        "logpush": of_script.get("logpush", False),
        "observability": of_script.get("observability"),
        "tail_consumers": of_script.get("tail_consumers"),
        "placement": settings.get("placement") or {},
    }


def _time(microseconds: int) -> str:
    """RFC 3339 with microseconds."""
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=rest)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _content(script: Script, modules: Sequence[Module]) -> Reply:
    """One file as itself, several as a form; `cf-entrypoint` names the one that starts."""
    if len(modules) == 1:
        content_type, body = _type_of(modules[0]).removesuffix("+module").encode(), modules[0].body
    else:
        boundary = random.token_hex(16).encode()
        content_type = b"multipart/form-data; boundary=" + boundary
        body = b"".join(_form_part(boundary, module) for module in modules) + b"--" + boundary + b"--\r\n"
    entry = quote(script.main_module, safe=_HEADER_SAFE).encode()
    return Reply(200, body, ((b"content-type", content_type), (b"cf-entrypoint", entry), *FIXED_HEADERS[1:]))


def _form_part(boundary: bytes, module: Module) -> bytes:
    """One file in a form; its name is escaped as browsers do."""
    name = module.name.encode().replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b\r\n\r\n'
    return head % (boundary, name, name, _type_of(module).encode()) + module.body + b"\r\n"


def _type_of(module: Module) -> str:
    """A file's type as it may stand in a header: a known one, else that of any bytes."""
    bare = module.content_type.partition(";")[0].strip().lower() or _MODULE_TYPE
    return bare if bare in _MODULE_TYPES else "application/octet-stream"
