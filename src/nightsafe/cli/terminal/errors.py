"""What is told when the server refuses, and the exit code that tells it to a program."""

import ssl
from collections.abc import Sequence
from typing import Final

import click

from nightsafe.cli.terminal.output import Wrong, say_wrong
from nightsafe.client.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ErrorData,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

FAILED: Final = 1
NOT_PERMITTED: Final = 3
NOT_FOUND: Final = 4
REFUSED: Final = 5
UNAVAILABLE: Final = 6
DIFFERS: Final = 7

_WAY_OUT: Final[dict[int, str]] = {
    971: "wait, or ask for a higher --rate-limit",
    1000: "give a token that works in CLOUDFLARE_API_TOKEN or --token-file",
    1003: "see `nightsafe token list` at the server's machine",
    6003: "a credential in the environment or in --token-file is not of its form",
    7000: "the server has no such path: is --url right? Most end in /client/v4",
    9103: "CLOUDFLARE_API_KEY, CLOUDFLARE_EMAIL or CLOUDFLARE_API_USER_SERVICE_KEY is unknown there",
    9106: "CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL go together, before a token: set both, or neither",
    9109: "the token is unknown there, expired or revoked, may not be used from here, or lacks a permission",
    10000: "`nightsafe whoami` shows whom the credentials belong to; they are unknown there, or lack a permission",
    10007: "`nightsafe script list` shows which there are; upload it first, or name another with --script",
    10053: "a variable or another binding of the script has the name: remove that, or choose another",
    10054: "a value has at most 5,120 bytes",
    10055: "delete some first, or raise the server's --max-variables",
    10056: "`nightsafe secret list` shows which there are",
    10090: "`nightsafe script list` shows which there are; upload it first, or name another with --script",
    10214: "deploy the newest version first: `nightsafe rollback` with its number serves it",
    10215: "deploy the newest version first: `nightsafe rollback` with its number serves it",
    10220: "give --force to go back all the same: the old version brings its old secrets",
    10429: "wait, or ask for a higher --rate-limit",
    10502: "wait a minute: too many credentials from this address were wrong",
    100146: "`nightsafe version list` shows which there are",
}
_CREDENTIALS_REFUSED: Final = frozenset({6003, 9103, 9106})
"""Codes of status 400 that are about who asks, not about what is asked for."""
_FIRST_OF_SERVER: Final = 500


class CommandError(click.ClickException):
    """A refusal by this program.

    Args:
        message: what is wrong and what to do, without a value.
        exit_code: of the process.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code: int = exit_code  # type: ignore[misc]  # the library reads it of the instance

    def show(self, file: object = None) -> None:
        """Print it as every refusal is printed."""
        del file
        say_wrong([Wrong(self.message)])


def exit_code_of(error: APIError) -> int:
    """The exit code for a client's error."""
    if isinstance(error, AuthenticationError | PermissionDeniedError) or _is_of_credentials(error):
        return NOT_PERMITTED
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    if isinstance(error, APIConnectionError | RateLimitError) or _is_servers(error):
        return UNAVAILABLE
    return REFUSED


def reason_of(error: BaseException) -> str:
    """Why there is no connection, where that is not that nobody is there, with the way out; else ""."""
    from nightsafe.client.network import UnusableProxyError  # noqa: PLC0415 - brings the HTTP library, most need none

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnusableProxyError):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            trust = "if it is one of your own, name its CA in SSL_CERT_FILE"
            return f"its certificate is not trusted: {cause.verify_message.rstrip('.')}; {trust}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS with it fails ({cause.reason or type(cause).__name__}); does it speak https there?"
        cause = cause.__cause__ or cause.__context__
    return ""


def _is_servers(error: APIError) -> bool:
    """Whether the server itself failed."""
    return isinstance(error, APIStatusError) and error.status_code >= _FIRST_OF_SERVER


def _is_of_credentials(error: APIError) -> bool:
    """Whether a refusal is for credentials that nobody could have."""
    return any(one.code in _CREDENTIALS_REFUSED for one in error.errors)


def wrong_of(error: APIError) -> list[Wrong]:
    """Each thing that is wrong, with the way out; what was noted on the error is part of that."""
    if error.errors:
        return [_wrong(one, getattr(error, "__notes__", [])) for one in error.errors]
    if isinstance(error, APIConnectionError):
        where = f"{error.request.origin.scheme}://{error.request.origin.authority}"
        what = "does not answer in time" if isinstance(error, APITimeoutError) else "cannot be reached"
        return [Wrong(f"{where} {what}", advice=reason_of(error) or "is the server running, and is --url right?")]
    return [Wrong(error.message)]


def _wrong(one: ErrorData, notes: Sequence[str]) -> Wrong:
    """One thing that is wrong."""
    # Some messages hold several lines, and some speak of a query parameter; who reads this has flags.
    message = " ".join(one.message.split()).rstrip(".")
    ways = [*notes, *filter(None, [_WAY_OUT.get(one.code)])]
    return Wrong(message, one.code, one.pointer, "; ".join(ways) or None)
