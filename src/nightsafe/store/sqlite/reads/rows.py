"""The queries for scripts, versions and deployments."""

from nightsafe.store.rules.script_head import key_of
from nightsafe.store.scripts import ScriptRef

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


def at_version(ref: ScriptRef, script_id: str, number: int) -> tuple[object, ...]:
    """Return the parameters of BINDINGS_AT."""
    return (*key_of(ref), number, ref.account_id, script_id, number, number)
