"""The Python client: `Nightsafe` and `AsyncNightsafe`, one shape.

    from nightsafe.client import Nightsafe

    client = Nightsafe()  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL
    client.workers.scripts.secrets.get("mySecret", account_id="…", script_name="my-worker")

It has the paths and signatures of the official SDK for what it covers: `docs/client.md`. Each of the two is loaded
when it is asked for.
"""

from typing import TYPE_CHECKING, Any

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
from nightsafe.client.not_given import Omit, omit
from nightsafe.client.params import SecretKeyParam, SecretParam, SecretTextParam
from nightsafe.client.timeouts import Timeout

if TYPE_CHECKING:
    from nightsafe.client.aio.client import AsyncNightsafe
    from nightsafe.client.aio.page import AsyncArrayPage, AsyncItemsPage, AsyncSinglePage
    from nightsafe.client.aio.response import AsyncAPIResponse
    from nightsafe.client.aio.transport import AsyncHttpTransport, AsyncTransport
    from nightsafe.client.blocking.client import Nightsafe
    from nightsafe.client.blocking.page import ArrayPage, ItemsPage, SinglePage
    from nightsafe.client.blocking.response import APIResponse
    from nightsafe.client.blocking.transport import HttpTransport, Transport

CloudflareError = ClientError
WorkersBindingKindSecretText = SecretText
WorkersBindingKindSecretKey = SecretKey

_WHEN_ASKED = {
    "APIResponse": "blocking.response",
    "ArrayPage": "blocking.page",
    "AsyncAPIResponse": "aio.response",
    "AsyncArrayPage": "aio.page",
    "AsyncHttpTransport": "aio.transport",
    "AsyncItemsPage": "aio.page",
    "AsyncNightsafe": "aio.client",
    "AsyncSinglePage": "aio.page",
    "AsyncTransport": "aio.transport",
    "HttpTransport": "blocking.transport",
    "ItemsPage": "blocking.page",
    "Nightsafe": "blocking.client",
    "SinglePage": "blocking.page",
    "Transport": "blocking.transport",
}
"""What brings an HTTP library along, and the module of each: who wants an error, or one half, waits for no other."""

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
    """One of the two halves, loaded on first use."""
    module = _WHEN_ASKED.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - seldom needed

    return getattr(import_module(f"{__name__}.{module}"), name)
