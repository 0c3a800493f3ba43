"""The Python client: `Nightsafe` and `AsyncNightsafe`, one shape.

    from nightsafe.client import Nightsafe

    client = Nightsafe()  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL
    client.workers.scripts.secrets.get("mySecret", account_id="…", script_name="my-worker")

It has the paths and signatures of the official SDK for what it covers: `docs/client.md`. The asynchronous one is
loaded when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from nightsafe.client.blocking.client import Nightsafe
from nightsafe.client.blocking.page import ArrayPage, ItemsPage, SinglePage
from nightsafe.client.blocking.response import APIResponse
from nightsafe.client.blocking.transport import HttpTransport, Transport
from nightsafe.client.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientError,
    ConflictError,
    ErrorData,
    ErrorSource,
    InternalServerError,
    NameTakenError,
    NotFoundError,
    NotPermittedError,
    PermissionDeniedError,
    RateLimitError,
    ScriptNotFoundError,
    SealingError,
    SecretNotFoundError,
    SecretRefusedError,
    UnprocessableEntityError,
)
from nightsafe.client.given import Omit, omit
from nightsafe.client.messages import Headers, Origin, Request, Response
from nightsafe.client.model import (
    Account,
    DeployedVersion,
    Deployment,
    ResultInfo,
    Script,
    Secret,
    SecretKey,
    SecretText,
    TokenStatus,
    User,
    Version,
    VersionMetadata,
    VersionResources,
)
from nightsafe.client.params import SecretKeyParam, SecretParam, SecretTextParam
from nightsafe.client.timeouts import Timeout

if TYPE_CHECKING:
    from nightsafe.client.aio.client import AsyncNightsafe
    from nightsafe.client.aio.page import AsyncArrayPage, AsyncItemsPage, AsyncSinglePage
    from nightsafe.client.aio.response import AsyncAPIResponse
    from nightsafe.client.aio.transport import AsyncHttpTransport, AsyncTransport

CloudflareError = ClientError
WorkersBindingKindSecretText = SecretText
WorkersBindingKindSecretKey = SecretKey

_ASYNCHRONOUS = {
    "AsyncAPIResponse": "response",
    "AsyncArrayPage": "page",
    "AsyncHttpTransport": "transport",
    "AsyncItemsPage": "page",
    "AsyncNightsafe": "client",
    "AsyncSinglePage": "page",
    "AsyncTransport": "transport",
}

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "ArrayPage",
    "AsyncAPIResponse",
    "AsyncArrayPage",
    "AsyncHttpTransport",
    "AsyncItemsPage",
    "AsyncNightsafe",
    "AsyncSinglePage",
    "AsyncTransport",
    "AuthenticationError",
    "BadRequestError",
    "ClientError",
    "CloudflareError",
    "ConflictError",
    "DeployedVersion",
    "Deployment",
    "ErrorData",
    "ErrorSource",
    "Headers",
    "HttpTransport",
    "InternalServerError",
    "ItemsPage",
    "NameTakenError",
    "Nightsafe",
    "NotFoundError",
    "NotPermittedError",
    "Omit",
    "Origin",
    "PermissionDeniedError",
    "RateLimitError",
    "Request",
    "Response",
    "ResultInfo",
    "Script",
    "ScriptNotFoundError",
    "SealingError",
    "Secret",
    "SecretKey",
    "SecretKeyParam",
    "SecretNotFoundError",
    "SecretParam",
    "SecretRefusedError",
    "SecretText",
    "SecretTextParam",
    "SinglePage",
    "Timeout",
    "TokenStatus",
    "Transport",
    "UnprocessableEntityError",
    "User",
    "Version",
    "VersionMetadata",
    "VersionResources",
    "WorkersBindingKindSecretKey",
    "WorkersBindingKindSecretText",
    "omit",
]


def __getattr__(name: str) -> Any:
    """The asynchronous half, loaded on first use."""
    module = _ASYNCHRONOUS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - seldom needed

    return getattr(import_module(f"{__name__}.aio.{module}"), name)
