"""Connections to a database: which server they go to, how they are protected, and what their errors say."""

import asyncio
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.postgres.certificates import Certificates, make_certificates
from tests.postgres.server import PostgresServer

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.postgres.engine import connection
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.connection import NoPrimaryError, connect, connect_within

_PASSWORD = "Qx7canary"
_FAST = {"allow_fsync_off": "yes"}


async def _ask(url: str, question: str) -> Any:
    """Return one value from a database."""
    db = await connect(parse(url))
    try:
        return await db.fetchval(question)
    finally:
        await db.close()


async def _refusal(url: str) -> str:
    """Return the words with which a connection is refused, which never show the password."""
    with pytest.raises(NightsafeError) as caught:
        await connect(parse(url))
    assert caught.value.code is Code.STORE
    assert _PASSWORD not in "".join(traceback.format_exception(caught.value))
    return caught.value.problems[0].detail


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates of a server named `localhost` and of a client, by one issuer."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(certificates: Certificates) -> Iterator[PostgresServer]:
    """Yield a server with TLS, roles with passwords, and a role that needs a client certificate."""
    with closing(PostgresServer("fsync=off", "ssl=on")) as server:
        server.initialize()
        certificates.give_server(server)
        server.admit(
            "hostssl all secured 127.0.0.1/32 scram-sha-256",
            "hostssl all certified 127.0.0.1/32 cert",
            "hostnossl all plain 127.0.0.1/32 scram-sha-256",
        )
        server.start()
        for role in ("secured", "plain"):
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}'")
        server.execute("CREATE ROLE certified LOGIN")
        yield server


async def test_a_connection_says_its_name(postgres: PostgresServer) -> None:
    """The server shows each connection under the name of the address, by default `nightsafe`."""
    question = "SELECT current_setting('application_name')"
    assert await _ask(postgres.at_socket(**_FAST), question) == "nightsafe"
    assert await _ask(postgres.at_socket(**_FAST, application_name="node-1"), question) == "node-1"


async def test_an_abandoned_transaction_ends_by_itself(postgres: PostgresServer) -> None:
    """The server ends a transaction whose node does nothing, so that the other nodes can go on."""
    question = "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
    assert 0 < await _ask(postgres.at_socket(**_FAST), question) <= 10_000


async def test_the_standby_of_several_hosts_is_passed_over(postgres: PostgresServer) -> None:
    """A connection goes to the primary, in whatever order the hosts are named."""
    with closing(PostgresServer()) as standby:
        standby.follow(postgres)
        standby.start()
        for first, second in ((standby, postgres), (postgres, standby)):
            hosts, ports = f"{first.folder},{second.folder}", f"{first.port},{second.port}"
            url = f"postgresql://nightsafe@/postgres?host={hosts}&port={ports}&allow_fsync_off=yes"
            assert not await _ask(url, "SELECT pg_is_in_recovery()")
        with pytest.raises(NoPrimaryError, match="is a standby"):
            await connect(parse(standby.at_socket(**_FAST)))


async def test_a_stopped_host_does_not_delay_the_next_one(postgres: PostgresServer) -> None:
    """A host that accepts connections and never answers is not waited for when another one is the primary."""
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        url = f"postgresql://nightsafe@127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{postgres.port}/postgres?allow_fsync_off=yes"
        async with asyncio.timeout(2.5):  # less than one host may take
            assert await _ask(url, "SELECT 1") == 1


async def test_a_standby_that_becomes_the_primary_is_found_while_another_host_is_silent(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a stopped server keeps an attempt waiting, a standby that is promoted is found by the same attempt."""
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 20)
    with closing(PostgresServer()) as standby, socket.create_server(("127.0.0.1", 0)) as silent:
        standby.follow(postgres)
        standby.start()
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{silent.getsockname()[1]}"
        url = f"postgresql://nightsafe@{hosts}/postgres?sslmode=disable&allow_fsync_off=yes"
        connecting = asyncio.create_task(connect(parse(url)))
        waiting, _ = await asyncio.to_thread(silent.accept)  # the standby has been asked before
        await asyncio.to_thread(standby.execute, "SELECT pg_promote()")
        with waiting:
            db = await connecting
        assert not await db.fetchval("SELECT pg_is_in_recovery()")
        await db.close()


async def test_work_waits_for_a_primary() -> None:
    """A connection is made when a primary comes within the patience."""
    with PostgresServer() as server:
        server.stop()
        waiting = asyncio.create_task(connect_within(parse(server.at_socket(**_FAST)), 30))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        await asyncio.to_thread(server.start)
        db = await waiting
        await db.close()


async def test_patience_has_an_end() -> None:
    """Without a primary, the refusal says how long was waited, what each host did, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(NightsafeError) as caught:
        await connect_within(parse(f"postgresql://ns@127.0.0.1:{free}/safe"), 0.2)
    assert caught.value.code is Code.NO_PRIMARY
    detail = caught.value.problems[0].detail
    assert "0.2 s" in detail
    assert f"127.0.0.1:{free}" in detail
    assert "send the request again" in detail


async def test_a_server_that_is_killed_and_one_that_is_full_pass(postgres: PostgresServer) -> None:
    """A server that starts, or has too many connections, counts as no primary for the moment."""
    postgres.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 0")
    with pytest.raises(NoPrimaryError, match="53300"):
        await connect(parse(postgres.at_socket("limited", **_FAST)))


@pytest.mark.parametrize("setting", ["off", "local"])
async def test_a_server_that_answers_before_a_commit_is_durable_is_refused(setting: str) -> None:
    """A server that answers commits too early is refused, and the refusal says where to look for the setting."""
    with PostgresServer() as server:
        server.execute("CREATE ROLE hasty LOGIN")
        if setting == "local":
            assert await _ask(server.at_socket("hasty", **_FAST), "SELECT 1") == 1
            server.execute("ALTER SYSTEM SET synchronous_standby_names = 'other'; SELECT pg_reload_conf()")
        server.execute(f"SET synchronous_commit = off; ALTER ROLE hasty SET synchronous_commit = {setting}")
        detail = await _refusal(server.at_socket("hasty", **_FAST))
    assert f"synchronous_commit={setting}" in detail
    assert 'ALTER ROLE "hasty"' in detail


async def test_a_server_without_fsync_is_refused(postgres: PostgresServer) -> None:
    """A server with fsync=off is refused unless the address allows it."""
    assert "set fsync=on" in await _refusal(postgres.at_socket())


async def test_a_session_that_takes_no_writes_is_no_primary(postgres: PostgresServer) -> None:
    """A role whose sessions are read-only is passed over, unless the address asks only for a primary."""
    postgres.execute("CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on")
    with pytest.raises(NoPrimaryError, match="takes no writes"):
        await connect(parse(postgres.at_socket("reader", **_FAST)))
    assert await _ask(postgres.at_socket("reader", **_FAST, target_session_attrs="primary"), "SELECT 1") == 1


async def test_the_names_of_an_absent_role_and_database_are_told(postgres: PostgresServer) -> None:
    """The refusals name the role, the database and the way out."""
    assert "the role nobody-here" in await _refusal(postgres.at_socket("nobody-here", **_FAST))
    assert "createdb --template=template0 absent" in await _refusal(postgres.at_socket(database="absent", **_FAST))


def _tls_url(server: PostgresServer, role: str, issuer: Path, host: str = "localhost", more: str = "") -> str:
    """Return the URL of a server whose certificate is checked."""
    return f"postgresql://{role}@{host}:{server.port}/postgres?sslrootcert={issuer}&allow_fsync_off=yes{more}"


async def test_the_certificate_of_the_server_is_checked(guarded: PostgresServer, certificates: Certificates) -> None:
    """A certificate must be from the issuer and for the name of the host; `verify-ca` leaves the name out."""
    role = f"secured:{_PASSWORD}"
    assert await _ask(_tls_url(guarded, role, certificates.issuer), "SELECT 1") == 1
    assert "sslrootcert=FILE" in await _refusal(_tls_url(guarded, role, certificates.other_issuer))
    assert "not accepted" in await _refusal(_tls_url(guarded, role, certificates.issuer, "127.0.0.1"))
    loose = _tls_url(guarded, role, certificates.issuer, "127.0.0.1", "&sslmode=verify-ca")
    assert await _ask(loose, "SELECT 1") == 1


async def test_a_server_without_tls_is_refused(postgres: PostgresServer, certificates: Certificates) -> None:
    """A server that does not offer TLS is refused when the address asks for it; no password is sent."""
    detail = await _refusal(_tls_url(postgres, f"admin:{_PASSWORD}", certificates.issuer))
    assert "does not offer TLS" in detail


async def test_a_client_shows_its_certificate(guarded: PostgresServer, certificates: Certificates) -> None:
    """A role that must show a certificate is admitted with `sslcert` and `sslkey`, and refused without."""
    shown = f"&sslcert={certificates.client}&sslkey={certificates.client_key}"
    assert await _ask(_tls_url(guarded, "certified", certificates.issuer, more=shown), "SELECT 1") == 1
    assert "the role certified" in await _refusal(_tls_url(guarded, "certified", certificates.issuer))


async def test_a_key_that_others_can_read_is_refused(guarded: PostgresServer, certificates: Certificates) -> None:
    """A client's key must be closed to others."""
    shown = f"&sslcert={certificates.client}&sslkey={certificates.open_key}"
    with pytest.raises(NightsafeError, match="chmod"):
        await connect(parse(_tls_url(guarded, "certified", certificates.issuer, more=shown)))


async def test_a_missing_certificate_is_told(guarded: PostgresServer, tmp_path: Path) -> None:
    """A file that cannot be read is a refusal, not a server that might come."""
    assert "cannot be read" in await _refusal(_tls_url(guarded, "secured", tmp_path / "absent.pem"))


async def test_a_password_comes_from_the_url_or_a_file(
    guarded: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password comes from the URL, `passfile` or ~/.pgpass; the refusal of a wrong one does not show it."""
    at, query = f"127.0.0.1:{guarded.port}/postgres", "?sslmode=disable&allow_fsync_off=yes"
    assert await _ask(f"postgresql://plain:{_PASSWORD}@{at}{query}", "SELECT 1") == 1
    file = tmp_path / ".pgpass"
    file.write_text(f"127.0.0.1:{guarded.port}:postgres:plain:{_PASSWORD}\n")
    file.chmod(0o600)
    assert await _ask(f"postgresql://plain@{at}{query}&passfile={file}", "SELECT 1") == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    address = parse(f"postgresql://plain@{at}{query}")
    assert address.files == (file,)
    assert await _ask(f"postgresql://plain@{at}{query}", "SELECT 1") == 1
    file.chmod(0o644)
    with pytest.raises(NightsafeError, match="chmod"):
        await connect(parse(f"postgresql://plain@{at}{query}&passfile={file}"))
    assert "does not accept the password" in await _refusal(f"postgresql://plain:{_PASSWORD}x@{at}{query}")


async def test_a_killed_server_is_no_primary(tmp_path: Path) -> None:
    """A socket whose server is gone is a server that may come back."""
    assert tmp_path
    with PostgresServer() as server:
        server.stop(signal.SIGKILL)
        with pytest.raises(NoPrimaryError):
            await connect(parse(server.at_socket(**_FAST)))
