"""The types of the JSON objects that the API accepts."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from nightsafe.client.model import KeyFormat, Usage


class SecretTextParam(TypedDict):
    """A secret string to set."""

    name: str
    """Its name in `env`."""
    text: str
    """The value."""
    type: Literal["secret_text"]
    """The kind of binding."""


class SecretKeyParam(TypedDict):
    """A secret key to set."""

    algorithm: Any
    """The algorithm, as `crypto.subtle.importKey` takes it."""
    format: KeyFormat
    """The format of the key."""
    name: str
    """Its name in `env`."""
    type: Literal["secret_key"]
    """The kind of binding."""
    usages: Sequence[Usage]
    """The operations that the script may do with the key."""
    key_base64: NotRequired[str]
    """The key for `raw`, `pkcs8` and `spki`."""
    key_jwk: NotRequired[Any]
    """The key for `jwk`."""


SecretParam: TypeAlias = SecretTextParam | SecretKeyParam
"""A secret of either kind."""

Metadata: TypeAlias = Mapping[str, Any]
"""The metadata of an upload: `main_module` or `body_part`, `bindings`, `compatibility_date` and so on."""


class DeployedVersionParam(TypedDict):
    """A version's share of the traffic."""

    percentage: float
    """The share in percent."""
    version_id: str
    """The version's UUID."""


AnnotationsParam = TypedDict(
    "AnnotationsParam",
    {"workers/message": str, "workers_message": str},
    total=False,
)
"""Notes on a deployment. `workers_message` is the official SDK's name for `workers/message`."""
