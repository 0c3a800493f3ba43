"""Reads the names in a request's path: the raw path is split first, and each name is decoded once."""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.scripts import ScriptRef

BASE = "/client/v4"
ACCOUNT = f"{BASE}/accounts/{{account_id}}"
SCRIPT = f"{ACCOUNT}/workers/scripts/{{script_name}}"
NAMESPACE = f"{ACCOUNT}/workers/dispatch/namespaces/{{namespace}}"
DISPATCHED = f"{NAMESPACE}/scripts/{{script_name}}"
ENVIRONMENT = f"{ACCOUNT}/workers/services/{{script_name}}/environments/{{environment}}"

DEFAULT_ENVIRONMENT = "production"
_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_MAX_SHOWN = 200


def bad_identifier(raw_path: bytes) -> NightsafeError:
    """Return the refusal of a path with an invalid name."""
    return NightsafeError(Code.BAD_IDENTIFIER, raw_path[:_MAX_SHOWN].decode("ascii", "replace"))


def decode_segment(segment: str, raw_path: bytes) -> str:
    """Percent-decode a path segment once. `+` stays, and so does a `%` that does not begin an escape.

    Args:
        segment: the bytes of the segment, one character each.
        raw_path: the whole path, for the refusal.

    Raises:
        NightsafeError: BAD_IDENTIFIER, when it does not decode to UTF-8.
    """
    if "%" not in segment and segment.isascii():
        return segment
    try:
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise bad_identifier(raw_path) from None


def account_id(segment: str, raw_path: bytes) -> str:
    """Return an account's id: 32 lower-case hex digits.

    Raises:
        NightsafeError: BAD_IDENTIFIER.
    """
    if _ACCOUNT_ID.fullmatch(segment) is None:
        raise bad_identifier(raw_path)
    return segment


def script_of(account: str, names: Mapping[str, str]) -> ScriptRef:
    """Return the script that a path names; its name is "" for a path without a script.

    An environment of a service, except the default one, is the script `{service}-{environment}`. wrangler uses the
    same name when it does not use service environments.
    """
    name, environment = names.get("script_name", ""), names.get("environment", DEFAULT_ENVIRONMENT)
    if environment != DEFAULT_ENVIRONMENT:
        name = f"{name}-{environment}"
    return ScriptRef(account, name, names.get("namespace", ""))


def policy_name(ref: ScriptRef) -> str:
    """Return a script's name for policy globs: `name`, or `namespace/name` in a dispatch namespace."""
    return ref.path
