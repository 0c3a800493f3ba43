"""Checks the PostgreSQL server that has the rows of the safe."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from nightsafe.cli.doctor.examination import Examination, Finding, State
from nightsafe.cli.store.migration import schema_words

if TYPE_CHECKING:
    from nightsafe.store.postgres.condition import Condition

_OLDEST: Final = 13
_PER_MAJOR: Final = 10_000
_MOST_SKEW: Final = 1.0
_GRANTS: Final = "serve with a role of its own, which has the rights that nightsafe store grants prints"


def postgresql(safe: Examination) -> Iterator[Finding]:
    """Check the versions of server and schema, whether commits are durable, the rights of our role, and the clock."""
    if safe.address is None:
        return
    from nightsafe.store.postgres.condition import read_condition  # SQLite needs no driver

    found = asyncio.run(read_condition(safe.address))
    yield _version(found)
    yield _schema(found)
    yield from _durability(found)
    yield _rights(found)
    yield _clock(found)


def _version(found: "Condition") -> Finding:
    """Check the server's version, and that it is no standby."""
    if found.is_standby:
        return Finding(
            State.FAILED, "postgresql", f"{found.version}; it is a standby", "name the primary, or all the hosts"
        )
    if found.number < _OLDEST * _PER_MAJOR:
        return Finding(State.WARNING, "postgresql", f"{found.version} is no longer maintained", "upgrade the server")
    return Finding(State.OK, "postgresql", found.version)


def _schema(found: "Condition") -> Finding:
    """Check that this program can work on the schema. A newer schema may allow it: see `schema_version`."""
    words = schema_words("PostgreSQL", found.schema, found.newest_schema)
    if found.oldest_schema > found.newest_schema:
        words += f", and this program supports up to {found.newest_schema}"
        return Finding(State.FAILED, "schema", words, "use a newer program")
    if found.schema < found.newest_schema:
        return Finding(State.FAILED, "schema", words, "run nightsafe migrate with the role that owns the tables")
    return Finding(State.OK, "schema", words)


def _durability(found: "Condition") -> Iterator[Finding]:
    """Check that the server loses nothing that it has committed."""
    if not found.fsync:
        advice = "set fsync=on in postgresql.conf, and restart the server"
        yield Finding(State.FAILED, "durability", "fsync is off: a crash of its machine loses commits", advice)
    if found.synchronous_commit == "off" or (found.wants_standbys and found.synchronous_commit == "local"):
        words = f"synchronous_commit is {found.synchronous_commit}: a crash or a failover loses commits"
        yield Finding(State.FAILED, "durability", words, "set synchronous_commit=on for the role and the database")
    if not found.standbys:
        words, advice = (
            (
                "it waits for a synchronous standby, and there is none",
                "start one: until then, no write is answered",
            )
            if found.wants_standbys
            else ("no synchronous standby", "with one, the loss of a machine loses no commit: see docs/operations.md")
        )
        yield Finding(State.WARNING, "standbys", words, advice)
    else:
        yield Finding(State.OK, "standbys", f"{found.standbys} synchronous")
    if found.fsync and found.synchronous_commit != "off":
        yield Finding(State.OK, "durability", f"fsync is on, synchronous_commit is {found.synchronous_commit}")


def _rights(found: "Condition") -> Finding:
    """Check that the role has the rights to serve, and no others."""
    if not found.may_write:
        return Finding(State.FAILED, "role", f"{found.role} may not write the tables", _GRANTS)
    if found.is_superuser or found.may_change_log or found.may_create:
        rights = ["is a superuser"] * found.is_superuser
        rights += ["may change entries of the log"] * found.may_change_log + ["may create tables"] * found.may_create
        return Finding(State.WARNING, "role", f"{found.role} {', '.join(rights)}", _GRANTS)
    return Finding(State.OK, "role", f"{found.role} has the rights to serve")


def _clock(found: "Condition") -> Finding:
    """Check that the server's clock is ours."""
    words = f"{abs(found.skew):.1f} s {'ahead of' if found.skew > 0 else 'behind'} this machine's"
    if abs(found.skew) > _MOST_SKEW:
        return Finding(State.WARNING, "postgresql clock", words, "run a time service such as chrony on both machines")
    return Finding(State.OK, "postgresql clock", words)
