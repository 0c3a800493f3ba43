"""Messages and exit codes for refusals by the server."""

import ssl
from collections.abc import Sequence
from typing import Final

import click

from nightsafe.cli.terminal.output import Problem, in_words_of_commands, print_problems
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

_ADVICE: Final[dict[int, str]] = {
    971: "wait, or ask for a higher --rate-limit",
    1000: "give a valid token in CLOUDFLARE_API_TOKEN or --token-file",
    1003: "run `nightsafe token list` on the server's machine to see the tokens",
    6003: "a credential in the environment or in --token-file is malformed",
    7000: "the server has no such path: is --url right? Most URLs end in /client/v4",
    9103: "the server does not know CLOUDFLARE_API_KEY, CLOUDFLARE_EMAIL or CLOUDFLARE_API_USER_SERVICE_KEY",
    9106: "CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL belong together and override a token: set both or neither",
    9109: "the token is unknown to the server, expired or revoked, may not be used from here, or lacks a permission",
    10000: "the credentials are unknown to the server or lack a permission; `nightsafe whoami` shows their owner",
    10007: "`nightsafe script list` shows the scripts; upload it first, or give another name",
    10053: "a variable or another binding of the script has this name: remove it, or choose another name",
    10054: "a value has at most 5,120 bytes",
    10055: "delete some first, or raise the server's --max-variables",
    10056: "`nightsafe secret list` shows the secrets",
    10090: "`nightsafe script list` shows the scripts; upload it first, or give another name",
    10214: "deploy the newest version first: run `nightsafe rollback` with its number",
    10215: "deploy the newest version first: run `nightsafe rollback` with its number",
    10220: "give --force to deploy it anyway: the old version brings back its old secrets",
    10429: "wait, or ask for a higher --rate-limit",
    10502: "wait a minute: too many authentications from this address failed",
    100146: "`nightsafe version list` shows the versions",
}
_CREDENTIALS_REFUSED: Final = frozenset({6003, 9103, 9106})
"""Error codes of status 400 that concern the credentials, not the request."""
_FIRST_SERVER_ERROR: Final = 500


class CommandError(click.ClickException):
    """A refusal by this program.

    Args:
        message: the problem and the solution, without a secret's value.
        exit_code: exit code of the process.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(in_words_of_commands(message))
        self.exit_code: int = exit_code  # type: ignore[misc]  # the library reads it from the instance

    def show(self, file: object = None) -> None:
        """Print the refusal in the common form."""
        del file
        print_problems([Problem(self.message)])


def exit_code_of(error: APIError) -> int:
    """Return the exit code for a client's error."""
    if isinstance(error, AuthenticationError | PermissionDeniedError) or _concerns_credentials(error):
        return NOT_PERMITTED
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    if isinstance(error, APIConnectionError | RateLimitError) or _is_server_error(error):
        return UNAVAILABLE
    return REFUSED


def connection_problem(error: BaseException) -> str:
    """Return why a connection failed, with the solution, for a problem of TLS or of a proxy; else ""."""
    from nightsafe.client.network import UnusableProxyError  # loads the HTTP library, rarely needed

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnusableProxyError):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            trust = "if your own CA issued it, set SSL_CERT_FILE to the CA's file"
            return f"its certificate is not trusted: {cause.verify_message.rstrip('.')}; {trust}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS fails ({cause.reason or type(cause).__name__}); does the server speak HTTPS at this address?"
        cause = cause.__cause__ or cause.__context__
    return ""


def _is_server_error(error: APIError) -> bool:
    """Return whether the server itself failed."""
    return isinstance(error, APIStatusError) and error.status_code >= _FIRST_SERVER_ERROR


def _concerns_credentials(error: APIError) -> bool:
    """Return whether a refusal is about malformed or unknown credentials."""
    return any(error_data.code in _CREDENTIALS_REFUSED for error_data in error.errors)


def problems_of(error: APIError) -> list[Problem]:
    """Return each problem of an error, with the solution and the notes on the error."""
    if error.errors:
        return [_problem(error_data, getattr(error, "__notes__", [])) for error_data in error.errors]
    if isinstance(error, APIConnectionError):
        server = f"{error.request.origin.scheme}://{error.request.origin.authority}"
        problem = "does not answer in time" if isinstance(error, APITimeoutError) else "cannot be reached"
        return [
            Problem(
                f"{server} {problem}",
                advice=connection_problem(error) or "is the server running, and is --url right?",
            )
        ]
    return [Problem(error.message)]


def _problem(error_data: ErrorData, notes: Sequence[str]) -> Problem:
    """Return one problem of an error."""
    # Some messages have several lines.
    message = " ".join(error_data.message.split()).rstrip(".")
    advice = [*notes, *filter(None, [_ADVICE.get(error_data.code)])]
    return Problem(message, error_data.code, error_data.pointer, "; ".join(advice) or None)
