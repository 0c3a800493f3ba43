"""The Python client, blocking (`Nightsafe`) and asynchronous (`AsyncNightsafe`).

    from nightsafe.client import Nightsafe

    client = Nightsafe()  # CLOUDFLARE_API_TOKEN, CLOUDFLARE_BASE_URL
    client.workers.scripts.secrets.get("mySecret", account_id="…", script_name="my-worker")

Its methods have the paths and signatures of the official SDK; `docs/client.md` lists them. Each of the two clients is
loaded on first use.
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
"""The names that need an HTTP library, with their modules. They are loaded on first use, so that the import of an
error or of one client does not wait for the rest.
"""

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
    """Return a name of one of the two clients, and load its module on first use."""
    module = _WHEN_ASKED.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - seldom needed

    return getattr(import_module(f"{__name__}.{module}"), name)
