"""The queries for scripts, versions and deployments."""

from typing import Final

from nightsafe.store.scripts import ScriptRef

SCRIPTS: Final = """
SELECT s.name, s.namespace, s.id, s.created_on, s.modified_on, s.version, s.live_version,
  u.etag, u.main_module, u.settings, s.script_settings, s.triggers, s.source
FROM scripts s JOIN uploads u
  ON u.account_id = s.account_id AND u.script_id = s.id AND u.version = s.upload_version
WHERE s.account_id = $1 AND s.namespace = $2
"""
SCRIPT: Final = SCRIPTS + "AND s.name = $3"

VERSIONS: Final = """
SELECT v.number, v.id, v.created_on, v.source, v.triggered_by, v.author_id, v.author_email, v.annotations,
  u.main_module, u.etag, u.settings
FROM versions v JOIN uploads u
  ON u.account_id = v.account_id AND u.script_id = v.script_id AND u.version = v.upload_version
WHERE v.account_id = $1 AND v.script_id = $2
"""
VERSION: Final = VERSIONS + "AND v.number = $3"
_HAS_ID: Final = "id = $3::bytea AND substr(id, 11) = substr($3::bytea, 11)"
"""Finds a version by the last bytes of its UUID, which have an index."""

VERSION_BY_ID: Final = VERSIONS + f"AND v.{_HAS_ID}"
VERSION_NUMBER: Final = f"SELECT number FROM versions WHERE account_id = $1 AND script_id = $2 AND {_HAS_ID}"  # noqa: S608 - our own SQL

HEAD: Final = "SELECT id, version FROM scripts WHERE account_id = $1 AND namespace = $2 AND name = $3"

OF_VERSIONS: Final = """
SELECT deployment_id AS id, created_on, source, triggered_by, author_id, author_email, annotations,
  id AS version_id, NULL::bytea AS traffic, number AS newest, 0::bigint AS place
FROM versions WHERE account_id = $1 AND script_id = $2 AND deployment_id <> ''::bytea
"""
WITHOUT_NEW_VERSION: Final = """
SELECT id, created_on, source, triggered_by, author_id, author_email, annotations,
  NULL::bytea, traffic, newest_version, place
FROM deployments WHERE account_id = $1 AND script_id = $2
"""
ONE_DEPLOYMENT: Final = f"{OF_VERSIONS} AND deployment_id = $3 UNION ALL {WITHOUT_NEW_VERSION} AND id = $3"
NEWEST_DEPLOYMENT: Final = f"""
{OF_VERSIONS} UNION ALL {WITHOUT_NEW_VERSION} ORDER BY newest DESC, place DESC LIMIT 1
"""

BINDINGS_AT: Final = """
SELECT name, kind, shown, sealed, key_id FROM bindings
WHERE account_id = $1 AND namespace = $2 AND script = $3 AND since <= $4
UNION ALL
SELECT name, kind, shown, sealed, key_id FROM binding_history
WHERE account_id = $1 AND script_id = $5 AND to_version > $4 AND from_version <= $4
ORDER BY name
"""


def at_version(ref: ScriptRef, script_id: str, number: int) -> tuple[object, ...]:
    """Return the parameters of BINDINGS_AT."""
    return (ref.account_id, ref.namespace, ref.name, number, script_id)
