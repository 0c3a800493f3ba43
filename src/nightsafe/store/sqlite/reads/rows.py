"""The queries for scripts, versions and deployments, and the conversion of their rows."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from nightsafe.store.scripts import Deployment, Script, ScriptRef, Version

_Row = TypeVar("_Row", bound=msgspec.Struct)
_TRAFFIC = msgspec.json.Decoder(list[tuple[str, float]])

SCRIPTS = """
SELECT s.name, s.namespace, s.id, s.created_on, s.modified_on, s.version, s.live_version,
  u.etag, u.main_module, u.settings, s.script_settings, s.triggers, s.source
FROM scripts s JOIN uploads u
  ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
WHERE s.account_id = ? AND s.namespace = ?
"""
SCRIPT = SCRIPTS + "AND s.name = ?"

VERSIONS = """
SELECT v.number, v.id, v.created_on, v.source, v.triggered_by, v.author_id, v.author_email, v.annotations,
  u.main_module, u.etag, u.settings
FROM versions v JOIN uploads u
  ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
WHERE v.account_id = ? AND v.script_id = ?
"""
VERSION = VERSIONS + "AND v.number = ?"
_HAS_ID = "id = ?3 AND substr(id, 11) = substr(?3, 11)"
"""Finds a version by the last bytes of its UUID, which have an index."""

VERSION_BY_ID = f"{VERSIONS} AND {_HAS_ID}"
VERSION_NUMBER = f"SELECT number FROM versions WHERE account_id = ? AND script_id = ? AND {_HAS_ID}"  # noqa: S608

HEAD = "SELECT id, version FROM scripts WHERE account_id = ? AND namespace = ? AND name = ?"

OF_VERSIONS = """
SELECT deployment_id AS id, created_on, source, triggered_by, author_id, author_email, annotations,
  id AS version_id, NULL AS traffic, number AS newest, 0 AS place
FROM versions WHERE account_id = ? AND script_id = ? AND deployment_id <> x''
"""
WITHOUT_NEW_VERSION = """
SELECT id, created_on, source, triggered_by, author_id, author_email, annotations,
  NULL, traffic, newest_version, place
FROM deployments WHERE account_id = ? AND script_id = ?
"""
NEWEST_FIRST = "ORDER BY newest DESC, place DESC LIMIT ? OFFSET ?"
ONE_DEPLOYMENT = f"{OF_VERSIONS} AND deployment_id = ? UNION ALL {WITHOUT_NEW_VERSION} AND id = ?"
DEPLOYMENTS = f"{OF_VERSIONS} UNION ALL {WITHOUT_NEW_VERSION} {NEWEST_FIRST}"

BINDINGS_AT = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = ? AND namespace = ? AND script = ? AND since <= ?
UNION ALL
SELECT name, kind, shown, sealed, key_id FROM binding_history
WHERE account_id = ? AND script_id = ? AND to_version > ? AND from_version <= ?
ORDER BY name
"""


def key_of(ref: ScriptRef) -> tuple[str, str, str]:
    """Return a script's place in the order of the tables' keys."""
    return ref.account_id, ref.namespace, ref.name


def at_version(ref: ScriptRef, script_id: str, number: int) -> tuple[object, ...]:
    """Return the parameters of BINDINGS_AT."""
    return (*key_of(ref), number, ref.account_id, script_id, number, number)


def build(kind: type[_Row], row: Iterable[Any]) -> _Row:
    """Build a struct from its fields' values, in order."""
    return kind(**dict(zip(kind.__struct_fields__, row, strict=True)))


def script_of(account_id: str, row: Iterable[Any]) -> Script:
    """Build a script from a row of SCRIPTS."""
    name, namespace, *rest = row
    return build(Script, (ScriptRef(account_id, name, namespace), *rest))


def version_of(row: Iterable[Any]) -> Version:
    """Build a version from a row of VERSIONS."""
    return build(Version, row)


def deployment_of(row: Iterable[Any]) -> Deployment:
    """Build a deployment from its row; if `traffic` is NULL, its own version gets all requests."""
    *fields, version_id, traffic, _, _ = row
    shares = [(version_id, 100.0)] if traffic is None else _shares(traffic)
    return build(Deployment, (*fields, tuple(shares)))


def traffic_of(versions: Iterable[tuple[bytes, float]]) -> bytes:
    """Encode versions and their percentages for the column `traffic`."""
    return msgspec.json.encode([(version_id.hex(), percentage) for version_id, percentage in versions])


def _shares(traffic: bytes) -> list[tuple[bytes, float]]:
    """Decode the column `traffic`."""
    return [(bytes.fromhex(version_id), percentage) for version_id, percentage in _TRAFFIC.decode(traffic)]
