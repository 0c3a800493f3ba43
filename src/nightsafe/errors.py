"""The one exception that all packages raise for a refusal.

It holds nothing of HTTP: the table in `api/http/errors.py` maps each code to an answer.
"""

# ruff: noqa: S105 - the names of codes are not secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

AGAIN: Final = "send the request again"
"""The way out in many details, as clients of the API read it. Commands tell people to run the command again."""


class Code(StrEnum):
    """Nightsafe's own error codes. The name of a retired member is never used again."""

    # The form of a request
    BODY_UNREADABLE = "body_unreadable"
    BODY_TOO_LARGE = "body_too_large"
    CONTENT_TYPE = "content_type"
    MALFORMED_HEADER = "malformed_header"
    INVALID = "invalid"
    NO_ROUTE = "no_route"
    BAD_IDENTIFIER = "bad_identifier"
    MALFORMED_PARAMETER = "malformed_parameter"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TIMEOUT = "timeout"

    # Authentication and authorization
    NO_CREDENTIALS = "no_credentials"
    MALFORMED_AUTHORIZATION = "malformed_authorization"
    MALFORMED_KEY = "malformed_key"
    MALFORMED_EMAIL = "malformed_email"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_SERVICE_KEY = "unknown_service_key"
    UNKNOWN_TOKEN = "unknown_token"
    INVALID_API_TOKEN = "invalid_api_token"
    AUTHENTICATION_FAILED = "authentication_failed"
    ADDRESS_REFUSED = "address_refused"
    NOT_PERMITTED = "not_permitted"
    NOT_AUTHORIZED = "not_authorized"

    # Rate limits
    TOO_MANY_REQUESTS = "too_many_requests"
    TOO_MANY_FAILURES = "too_many_failures"

    # API tokens as resources
    TOKEN_NOT_FOUND = "token_not_found"
    TOKEN_EXCEEDS = "token_exceeds"

    # Scripts and their bindings
    SCRIPT_NOT_FOUND = "script_not_found"
    SCRIPT_NAME = "script_name"
    SCRIPT_TOO_LARGE = "script_too_large"
    SCRIPT_UNPARSABLE = "script_unparsable"
    NO_SETTINGS = "no_settings"
    SCRIPT_IN_USE = "script_in_use"
    BINDING_UNNAMED = "binding_unnamed"
    BINDING_NAME_TOO_LONG = "binding_name_too_long"
    BINDING_NAME_TAKEN = "binding_name_taken"
    BINDING_NOT_FOUND = "binding_not_found"
    BINDING_TOO_LARGE = "binding_too_large"
    TOO_MANY_BINDINGS = "too_many_bindings"
    TOO_MANY_OPERATIONS = "too_many_operations"
    INHERIT = "inherit"
    INHERIT_RENAMED = "inherit_renamed"
    INHERIT_VERSION = "inherit_version"
    SERVICE_UNBOUND = "service_unbound"
    SERVICE_ENVIRONMENT = "service_environment"
    STORED_SECRET_UNBOUND = "stored_secret_unbound"

    # Versions and deployments
    SECRET_NOT_LIVE = "secret_not_live"
    SETTINGS_NOT_LIVE = "settings_not_live"
    VERSION_NOT_FOUND = "version_not_found"
    DEPLOYMENT_NOT_FOUND = "deployment_not_found"
    DEPLOYMENT_INVALID = "deployment_invalid"
    SECRETS_CHANGED = "secrets_changed"
    SERVICE_NOT_FOUND = "service_not_found"
    MIGRATION_TAG = "migration_tag"

    # Dispatch namespaces, Pages projects, secrets stores and collections
    NAMESPACE_NOT_FOUND = "namespace_not_found"
    NAMESPACE_NOT_EMPTY = "namespace_not_empty"
    DISPATCHED_NOT_FOUND = "dispatched_not_found"
    PROJECT_NOT_FOUND = "project_not_found"
    PROJECT_TAKEN = "project_taken"
    STORE_NOT_FOUND = "store_not_found"
    STORE_SECRET_NOT_FOUND = "store_secret_not_found"
    STORE_SECRET_TAKEN = "store_secret_taken"
    STORE_VALUE_TOO_LONG = "store_value_too_long"
    STORE_NOT_GRANTED = "store_not_granted"
    TARGET_NOT_GRANTED = "target_not_granted"
    COLLECTION_TAKEN = "collection_taken"
    COLLECTION_NOT_FOUND = "collection_not_found"
    COLLECTION_NOT_EMPTY = "collection_not_empty"
    ITEM_TAKEN = "item_taken"
    ITEM_NOT_FOUND = "item_not_found"
    TOO_MANY_COLLECTIONS = "too_many_collections"
    TOO_MANY_ITEMS = "too_many_items"

    # Keys
    KEY_IN_USE = "key_in_use"

    # Features that Nightsafe does not support
    UNSUPPORTED = "unsupported"

    # The safe itself
    STORE = "store"
    DISK_FULL = "disk_full"
    FILE_GONE = "file_gone"
    LOG_FULL = "log_full"
    NO_PRIMARY = "no_primary"
    NODE_NOT_TRUSTED = "node_not_trusted"
    NOT_DURABLE = "not_durable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    ENTRIES_ARCHIVED = "entries_archived"
    CANNOT_OPEN = "cannot_open"
    UNAVAILABLE = "unavailable"

    # Running scripts
    HELD = "held"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem with a request.

    Attributes:
        code: the kind of problem.
        detail: the name of the item at fault, or a sentence that says what to do. Never a secret's value.
        pointer: a JSON Pointer (RFC 6901) to the field at fault, or None.
        kind: for a binding name that is taken, the type of the binding that has it, or "" if unknown.
    """

    code: Code
    detail: str
    pointer: str | None = None
    kind: str = ""


class NightsafeError(Exception):
    """A refusal with one or more problems. The first problem decides the status of the answer."""

    def __init__(self, code: Code, detail: str = "", pointer: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.problems: tuple[Problem, ...] = (Problem(code, detail, pointer),)

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        """Return one error for several problems, in their order.

        Args:
            problems: at least one problem.
        """
        problems = tuple(problems)
        error = cls(problems[0].code, problems[0].detail, problems[0].pointer)
        error.problems = problems
        return error

    @property
    def code(self) -> Code:
        """The first problem's code."""
        return self.problems[0].code
