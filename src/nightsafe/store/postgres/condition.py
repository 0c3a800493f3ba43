"""The condition of a PostgreSQL server: what `nightsafe doctor` checks of it."""

import time

from msgspec import Struct

from nightsafe.store.postgres.copying import connected
from nightsafe.store.postgres.engine import schema
from nightsafe.store.postgres.engine.address import Address

_STATE = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
  coalesce(current_setting('fsync', true), 'on'), coalesce(current_setting('synchronous_commit', true), 'on'),
  coalesce(current_setting('synchronous_standby_names', true), ''), pg_is_in_recovery(), current_user::text,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
_STANDBYS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
_RIGHTS = """
SELECT has_table_privilege('scripts', 'INSERT') AND has_table_privilege('audit', 'INSERT'),
  has_table_privilege('audit', 'UPDATE') OR has_table_privilege('audit', 'DELETE'),
  has_schema_privilege(current_schema(), 'CREATE')
"""
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


class Condition(Struct, frozen=True, kw_only=True):
    """The condition of a server, and the rights of our role.

    Attributes:
        version: its version, as it names itself.
        schema: the version of the schema; 0 without a safe.
        oldest_schema: the oldest version whose programs can work on it.
        newest_schema: the newest version that this program knows.
        number: its version as a number, for example 150004.
        fsync: whether it waits until its files are on the disk.
        synchronous_commit: when it answers a commit, as its setting says.
        wants_standbys: whether it waits for synchronous standbys.
        standbys: how many synchronous standbys it has now.
        is_standby: whether it is a standby, which takes no writes.
        role: our role.
        is_superuser: whether the role is a superuser.
        may_write: whether the role may write what serving writes.
        may_change_log: whether the role may change entries of the log.
        may_create: whether the role may create tables.
        skew: by how many seconds its clock is ahead of ours.
    """

    version: str
    schema: int
    oldest_schema: int
    newest_schema: int
    number: int
    fsync: bool
    synchronous_commit: str
    wants_standbys: bool
    standbys: int
    is_standby: bool
    role: str
    is_superuser: bool
    may_write: bool
    may_change_log: bool
    may_create: bool
    skew: float


async def read_condition(address: Address) -> Condition:
    """Return the condition of the server at an address.

    Raises:
        NightsafeError: STORE, when it cannot be used.
    """
    async with connected(address) as db:
        before = time.time()
        now = await db.fetchval(_NOW)
        skew = now - (before + time.time()) / 2
        version, number, fsync, commits, wanted, is_standby, role, is_superuser = await db.fetchrow(_STATE)
        state = await schema.state_of(db)
        may_write, may_change_log, may_create = await db.fetchrow(_RIGHTS)
        return Condition(
            version=version,
            schema=state.version,
            oldest_schema=state.oldest,
            newest_schema=len(schema.migrations()),
            number=number,
            fsync=fsync == "on",
            synchronous_commit=commits,
            wants_standbys=bool(wanted),
            standbys=await db.fetchval(_STANDBYS),
            is_standby=is_standby,
            role=role,
            is_superuser=is_superuser,
            may_write=may_write,
            may_change_log=may_change_log,
            may_create=may_create,
            skew=skew,
        )
