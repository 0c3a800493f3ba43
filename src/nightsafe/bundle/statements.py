"""The digests that a group commit states: what was put, what a version consists of, and which versions are deployed.

The store states them when it writes. The delivery process computes them again from what it gets. Each digest is a
SHA-256 over an encoding with a tag of its own: `docs/sealed-format.md`, "Statements".
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

from msgspec import Struct

from nightsafe.sealing.encoding import encode

_BINDING = encode(b"nightsafe binding v1")
_CONTENT = encode(b"nightsafe content v1")
_VERSION = encode(b"nightsafe version v1")
_DEPLOYMENT = encode(b"nightsafe deployment v1")
_TRIGGERS = encode(b"nightsafe triggers v1")


class ScriptIdentity(Struct, frozen=True):
    """The script that a statement is about.

    Attributes:
        account_id: the account.
        namespace: the dispatch namespace, or "".
        name: its name.
        id: its tag. A script that is deleted and made again has another one.
    """

    account_id: str
    namespace: str
    name: str
    id: str


def binding_digest(name: str, kind: str, shown: bytes, since: int) -> bytes:
    """Return the digest of one binding in a version.

    Args:
        name: its name.
        kind: its type.
        shown: the JSON object that reads return.
        since: the number of the version that put it.
    """
    return sha256(_BINDING + encode(name.encode(), kind.encode(), shown, _number(since))).digest()


def content_digest(etag: str, settings: bytes) -> bytes:
    """Return the digest of a version's code and settings.

    Args:
        etag: `code_digest` of its code.
        settings: the JSON object of its settings.
    """
    return sha256(_CONTENT + encode(etag.encode(), settings)).digest()


def code_digest(main_module: str, modules: Iterable[tuple[str, str, bytes]]) -> str:
    """Return the hex SHA-256 that identifies a version's code.

    Args:
        main_module: the name of the main module.
        modules: name, content type and SHA-256 of each module, in the order of the upload.
    """
    digest = sha256()
    parts = [main_module.encode()]
    for name, content_type, module_digest in modules:
        parts += (name.encode(), content_type.encode(), module_digest)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def version_digest(  # noqa: PLR0913 - a version has many parts
    script: ScriptIdentity,
    number: int,
    version_id: bytes,
    *,
    created_on: int,
    annotations: bytes,
    content: bytes,
    bindings: Iterable[bytes],
) -> bytes:
    """Return the statement what a version consists of.

    Args:
        script: the script.
        number: the version's number.
        version_id: its UUID, 16 bytes.
        created_on: the time of its creation, in microseconds.
        annotations: the JSON object of its annotations.
        content: `content_digest` of its code and settings.
        bindings: `binding_digest` of each of its bindings, in any order.
    """
    head = _VERSION + encode_script(script)
    rest = encode(_number(number), version_id, _number(created_on), annotations, content, b"".join(sorted(bindings)))
    return sha256(head + rest).digest()


def deployment_digest(
    script: ScriptIdentity, order: tuple[int, int], deployment_id: bytes, shares: Sequence[tuple[int, float, bytes]]
) -> bytes:
    """Return the statement which versions are deployed.

    Args:
        script: the script.
        order: the number of the script's newest version at that time; then 0 for a deployment that was made with
            that version, else its number among the script's deployments. Later deployments have greater pairs.
        deployment_id: its UUID, 16 bytes.
        shares: number, percentage and `version_digest` of each version, in the deployment's order.
    """
    parts = [encode(_number(number), _percentage(share), digest) for number, share, digest in shares]
    head = _DEPLOYMENT + encode_script(script) + encode(_number(order[0]), _number(order[1]), deployment_id)
    return sha256(head + encode(*parts)).digest()


def triggers_digest(script: ScriptIdentity, triggers: bytes) -> bytes:
    """Return the statement of a script's triggers, the settings that uploads do not change.

    Args:
        script: the script.
        triggers: the JSON object of its triggers.
    """
    return sha256(_TRIGGERS + encode_script(script) + encode(triggers)).digest()


@lru_cache(maxsize=4)
def encode_script(script: ScriptIdentity) -> bytes:
    """Encode the four fields of a script. A version and its deployment share the result."""
    return encode(script.account_id.encode(), script.namespace.encode(), script.name.encode(), script.id.encode())


def _number(number: int) -> bytes:
    """Encode a number in eight bytes, big-endian."""
    return number.to_bytes(8, "big")


def _percentage(percentage: float) -> bytes:
    """Encode a percentage as the shortest decimal text that means it, always with a decimal point."""
    return repr(float(percentage)).encode()
