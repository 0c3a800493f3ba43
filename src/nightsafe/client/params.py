"""What is given to the API in JSON objects, typed."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from nightsafe.client.model import KeyFormat, Usage


class SecretTextParam(TypedDict):
    """A secret string to put."""

    name: str
    """What the script finds it under in `env`."""
    text: str
    """The value."""
    type: Literal["secret_text"]
    """The kind of binding."""


class SecretKeyParam(TypedDict):
    """A secret key to put."""

    algorithm: Any
    """The algorithm, as `crypto.subtle.importKey` takes it."""
    format: KeyFormat
    """The format it is in."""
    name: str
    """What the script finds it under in `env`."""
    type: Literal["secret_key"]
    """The kind of binding."""
    usages: Sequence[Usage]
    """What the script may do with it."""
    key_base64: NotRequired[str]
    """The key for `raw`, `pkcs8` and `spki`."""
    key_jwk: NotRequired[Any]
    """The key for `jwk`."""


SecretParam: TypeAlias = SecretTextParam | SecretKeyParam
"""A secret of either kind."""

Metadata: TypeAlias = Mapping[str, Any]
"""What an upload says about itself: `main_module` or `body_part`, `bindings`, `compatibility_date` and so on."""


class DeployedVersionParam(TypedDict):
    """A version's part of the traffic."""

    percentage: float
    """Of 100."""
    version_id: str
    """The version's UUID."""


AnnotationsParam = TypedDict(
    "AnnotationsParam",
    {"workers/message": str, "workers_message": str},
    total=False,
)
"""Notes on a deployment; `workers_message` is the official SDK's name of `workers/message`."""
