# Made from aio/client.py by tools/generate_client.py: edit that one.
"""The client."""

import os
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self, Unpack

from nightsafe.client.blocking.resources import Accounts, CurrentUser, Workers, WorkersForPlatforms
from nightsafe.client.blocking.sender import Sender
from nightsafe.client.blocking.transport import HttpTransport, Transport
from nightsafe.client.call import ScriptLocation, make_call
from nightsafe.client.client_sealed import Rings
from nightsafe.client.envelope import result_of
from nightsafe.client.not_given import Headers, Omit, Query, RequestOptions, omit
from nightsafe.client.rings.offer import Offer, get_ring
from nightsafe.client.settings import (
    DEFAULT_MAX_RETRIES,
    ClientSettings,
    Credentials,
    PathLike,
    RingFiles,
    SealMode,
    base_url_from_environment,
    credentials_from_environment,
    headers_from_environment,
    make_settings,
    ring_files,
    today,
)
from nightsafe.client.timeouts import DEFAULT_TIMEOUT, TimeoutLike, timeout_of

_AGENT = "Nightsafe"


class Nightsafe:
    """A client of Nightsafe, or of any server that speaks the Cloudflare v4 API.

    Every argument is optional. Use the client in a `with`, or call `close` at the end.

    Args:
        api_token: an API token; by default `CLOUDFLARE_API_TOKEN`.
        api_key: a Global API key, which needs an e-mail; by default `CLOUDFLARE_API_KEY`.
        api_email: the e-mail of the Global API key; by default `CLOUDFLARE_EMAIL`.
        user_service_key: a user service key; by default `CLOUDFLARE_API_USER_SERVICE_KEY`.
        base_url: the server's URL with `/client/v4`; by default `CLOUDFLARE_BASE_URL`, else Cloudflare's API.
        api_version: the version of the API, which is a date; by default today.
        timeout: the seconds for each part of a request, a `Timeout`, or None to wait for ever; by default 60, and 5
            to connect.
        max_retries: further tries when the server is busy, fails or does not answer.
        default_headers: headers of every request. They take precedence over `CLOUDFLARE_CUSTOM_HEADERS`.
        default_query: query parameters of every request.
        http_client: the transport that sends requests; by default a pool of connections.
        seal: whether the values of secrets are sealed before they are sent. True: if the server offers its public
            ring. False: never. "require": always; if a value cannot be sealed, nothing is sent.
        public_ring: the file of the ring to seal to, so that the client need not trust the server's first ring; by
            default `NIGHTSAFE_PUBLIC_RING`.
        known_rings: the file of known rings, or ":memory:"; by default `NIGHTSAFE_KNOWN_RINGS`, else a file in the
            user's configuration directory.

    Raises:
        ValueError: when the base URL is invalid, or a credential cannot be sent in a header.
    """

    def __init__(
        self,
        *,
        api_token: str | None = None,
        api_key: str | None = None,
        api_email: str | None = None,
        user_service_key: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        timeout: float | TimeoutLike | Omit | None = omit,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Headers | None = None,
        default_query: Query | None = None,
        http_client: Transport | None = None,
        seal: SealMode = True,
        public_ring: PathLike | None = None,
        known_rings: PathLike | None = None,
    ) -> None:
        settings = make_settings(
            credentials=credentials_from_environment(
                api_token=api_token, api_key=api_key, api_email=api_email, user_service_key=user_service_key
            ),
            base_url=base_url_from_environment() if base_url is None else base_url,
            api_version=today() if api_version is None else api_version,
            timeout=DEFAULT_TIMEOUT if isinstance(timeout, Omit) else timeout_of(timeout),
            max_retries=max_retries,
            custom_headers={**headers_from_environment(), **(default_headers or {})},
            custom_query=default_query or {},
            seal=seal,
            rings=ring_files(public_ring, known_rings),
            agent=_AGENT,
        )
        self._sender = Sender(settings, HttpTransport() if http_client is None else http_client, Rings())

    @cached_property
    def workers(self) -> Workers:
        """Return scripts, with their secrets, versions and deployments."""
        return Workers(self._sender)

    @cached_property
    def workers_for_platforms(self) -> WorkersForPlatforms:
        """Return scripts in dispatch namespaces."""
        return WorkersForPlatforms(self._sender)

    @cached_property
    def user(self) -> CurrentUser:
        """Return the user that the credentials belong to."""
        return CurrentUser(self._sender)

    @cached_property
    def accounts(self) -> Accounts:
        """Return the accounts that the credentials can see."""
        return Accounts(self._sender)

    @property
    def base_url(self) -> str:
        """Return the base URL."""
        return self._settings.base_url

    @property
    def timeout(self) -> TimeoutLike:
        """Return the timeouts of a request."""
        return self._settings.timeout

    @property
    def max_retries(self) -> int:
        """Return the most further tries of a call."""
        return self._settings.max_retries

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
        **options: Unpack[RequestOptions],
    ) -> Any:
        """Send any other call, and return the `result` of its answer as JSON.

        Args:
            method: the method, in capitals.
            path: the path below the base URL, already encoded.
            query: the query parameters.
            body: a JSON object. Nothing in it is sealed.
            options: extra headers, query and body, and a timeout for this request.
        """
        return self._sender.send(make_call(method, path, result_of(Any), options, query=query, body=body))

    def offered_ring(self, account_id: str) -> Offer:
        """Return the public ring that the server offers for an account. It is neither checked nor remembered.

        Raises:
            APIError: when the server does not offer a ring.
        """
        return self._sender.send(get_ring(ScriptLocation(account_id, "")))

    def copy(
        self,
        *,
        api_token: str | None = None,
        api_key: str | None = None,
        api_email: str | None = None,
        user_service_key: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        timeout: float | TimeoutLike | Omit | None = omit,
        http_client: Transport | None = None,
        max_retries: int | Omit = omit,
        default_headers: Headers | None = None,
        default_query: Query | None = None,
        seal: SealMode | Omit = omit,
        public_ring: PathLike | Omit = omit,
        known_rings: PathLike | Omit = omit,
    ) -> Self:
        """Return another client with other settings and the same connections.

        Settings that are not given stay the same. Headers and query parameters are added to the existing ones.
        """
        own = self._settings
        credentials = Credentials(api_token, api_key, api_email, user_service_key)
        settings = make_settings(
            credentials=own.credentials.merged_with(credentials),
            base_url=own.base_url if base_url is None else base_url,
            api_version=own.api_version if api_version is None else api_version,
            timeout=own.timeout if isinstance(timeout, Omit) else timeout_of(timeout),
            max_retries=own.max_retries if isinstance(max_retries, Omit) else max_retries,
            custom_headers={**own.custom_headers, **(default_headers or {})},
            custom_query={**own.custom_query, **(default_query or {})},
            seal=own.seal if isinstance(seal, Omit) else seal,
            rings=RingFiles(
                own.public_ring if isinstance(public_ring, Omit) else os.fspath(public_ring),
                own.known_rings if isinstance(known_rings, Omit) else os.fspath(known_rings),
            ),
            agent=_AGENT,
        )
        return self._with(settings, http_client)

    with_options = copy

    def close(self) -> None:
        """Close every connection."""
        self._sender.transport.close()

    def __enter__(self) -> Self:
        """Return the client. It is closed at the end of the `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self.close()

    def __repr__(self) -> str:
        """Show the base URL, but no credentials."""
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    @property
    def _settings(self) -> ClientSettings:
        """Return the settings."""
        return self._sender.settings

    def _with(self, settings: ClientSettings, http_client: Transport | None) -> Self:
        """Return another client over the same connections. It keeps the rings if server and ring files match."""
        other = type(self).__new__(type(self))
        own = self._settings
        is_same = (settings.base_url, settings.public_ring, settings.known_rings) == (
            own.base_url,
            own.public_ring,
            own.known_rings,
        )
        rings = self._sender.rings if is_same else Rings()
        transport = self._sender.transport if http_client is None else http_client
        other._sender = Sender(settings, transport, rings)  # noqa: SLF001 - one of its own kind
        return other
