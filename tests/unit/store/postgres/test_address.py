"""The address of a database."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.postgres.engine.address import Host, parse

_PASSWORD = "Qx7canary"


def _refusal(url: str) -> str:
    """Return the detail of the refusal of a URL."""
    with pytest.raises(NightsafeError) as caught:
        parse(url)
    assert caught.value.code is Code.INVALID
    return caught.value.problems[0].detail


def test_all_parts_of_a_url_are_taken() -> None:
    """An address has the hosts, role, password, database and parameters of its URL."""
    address = parse(
        "postgresql://ns%40x:p%40ss%3A@h1:5433,h2,[::1]:5434/safe%2F1?sslmode=verify-ca&sslrootcert=/ca.pem"
        "&sslcert=/c.pem&sslkey=/k.pem&target_session_attrs=primary&application_name=node-1&passfile=/p"
    )
    assert address.hosts == (Host("h1", 5433), Host("h2", 5432), Host("::1", 5434))
    assert (address.user, address.password, address.database) == ("ns@x", "p@ss:", "safe/1")
    assert (address.sslmode, address.target_session_attrs) == ("verify-ca", "primary")
    assert address.application_name == "node-1"
    assert address.files == (Path("/ca.pem"), Path("/c.pem"), Path("/k.pem"), Path("/p"))
    assert address.ports == (5432, 5433, 5434)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///safe?host=/run/postgresql&port=5433&user=ns",
        "postgresql://ns@/safe?host=/run/postgresql&port=5433",
        "postgres://ns@%2Frun%2Fpostgresql:5433/safe",
        "postgresql://?host=/run/postgresql&port=5433&user=ns&dbname=safe",
    ],
)
def test_the_directory_of_a_unix_socket_is_a_host(url: str) -> None:
    """Each form in which PostgreSQL's own programs take the directory of a socket is taken."""
    address = parse(url)
    assert address.hosts == (Host("/run/postgresql", 5433),)
    assert (address.user, address.database, address.has_sockets, address.ports) == ("ns", "safe", True, ())


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://ns@db.example/safe", "verify-full"),
        ("postgresql://ns@10.0.0.1/safe", "verify-full"),
        ("postgresql://ns@localhost,db.example/safe", "verify-full"),
        ("postgresql://ns@127.0.0.1.example/safe", "verify-full"),
        ("postgresql://ns@localhost/safe?sslrootcert=/ca.pem", "verify-full"),
        ("postgresql://ns@localhost/safe", "prefer"),
        ("postgresql://ns@127.0.0.1,[::1]/safe", "prefer"),
        ("postgresql://ns@/safe?host=/run/postgresql", "prefer"),
        ("postgresql://ns@db.example/safe?sslmode=disable&allow_unverified=yes", "disable"),
    ],
)
def test_a_server_on_another_machine_must_prove_its_name(url: str, mode: str) -> None:
    """Without sslmode, a connection that leaves the machine is `verify-full`."""
    assert parse(url).sslmode == mode


@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
def test_an_unverified_connection_to_another_machine_is_refused(mode: str) -> None:
    """A mode that does not check the server's certificate needs `allow_unverified=yes`, and the refusal says so."""
    detail = _refusal(f"postgresql://ns@localhost,db.example:6000/safe?sslmode={mode}")
    assert "db.example:6000" in detail
    assert "sslrootcert=FILE" in detail
    assert "allow_unverified=yes" in detail


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        ("https://db.example/safe", "postgresql://ROLE@HOST/DATABASE"),
        ("postgresql://db.example/safe", "names no role"),
        ("postgresql://ns@db.example", "names no database"),
        ("postgresql://ns@/safe", "names no host"),
        ("postgresql://ns@h:0/safe", "from 1 to 65535"),
        ("postgresql://ns@h:port/safe", "from 1 to 65535"),
        ("postgresql://ns@h/safe?sslmod=x", "sslmod is not known"),
        ("postgresql://ns@h/safe?sslmode=verify-full&sslmode=require", "given twice"),
        ("postgresql://ns@h/safe?host=g", "the hosts are given twice"),
        ("postgresql://ns@h/safe?user=x", "user is given twice"),
        ("postgresql://ns@h/safe?sslmode", "name=value"),
        ("postgresql://ns@h/safe?sslmode=full", "one of disable, prefer"),
        ("postgresql://ns@h/safe?sslmode=verify-ca", "sslrootcert=FILE"),
        ("postgresql://ns@h/safe?sslrootcert=ca.pem", "absolute path"),
        ("postgresql://ns@h/safe?sslkey=/k.pem", "sslcert=FILE"),
        ("postgresql://ns@localhost/safe?sslmode=prefer&sslcert=/c.pem", "remove sslmode"),
        ("postgresql://ns@h/safe?target_session_attrs=any", "read-write or primary"),
        ("postgresql://ns@h/safe?allow_unverified=1", "must be yes"),
        ("postgresql://ns:@h/safe", "empty password"),
        ("postgresql://ns@h/safe%zz", "%25"),
        ("postgresql://ns@h/safe%00", "%XX"),
        ("postgresql://ns@h/safe#x", "%23"),
        ("postgresql://ns@h/a/b", "%2F"),
        ("postgresql://ns@h,h/safe", "given twice"),
        ("postgresql://ns@/safe?host=/a,/b&port=1,2,3", "2 hosts and 3 ports"),
        ("postgresql://ns@h/sa fe", "%XX"),
        ("postgresql://ns@h/säfe", "%XX"),
        ("postgresql://ns@[::1/safe", "IPv6"),
        ("postgresql://ns@h!/safe", "a host must be"),
    ],
)
def test_a_refusal_names_the_way_out(url: str, way_out: str) -> None:
    """The refusal of a URL says which part is wrong and what to write instead."""
    assert way_out in _refusal(url)


_URLS = st.lists(
    st.sampled_from(
        [
            *(
                "postgresql://",
                "ns",
                ":",
                _PASSWORD,
                "@",
                "h",
                ":5432",
                ",",
                "/",
                "safe",
                "?",
                "&",
                "%",
                "#",
                "[",
                "]",
                " ",
            ),
            *(
                "sslmode=",
                "host=",
                f"password={_PASSWORD}",
                f"sslmode={_PASSWORD}",
                f"{_PASSWORD}=1",
                "/etc",
                "%00",
                "é",
            ),
        ]
    ),
    max_size=12,
).map("".join)


@given(_URLS.map("postgresql://".__add__) | _URLS)
def test_no_text_about_a_url_shows_its_password(url: str) -> None:
    """Neither an address nor the refusal of a URL shows a text that stands in the place of its password."""
    shown: object
    try:
        shown = parse(url)
    except NightsafeError as error:
        shown = error
    assert not _stands_for_a_password(url) or _PASSWORD not in f"{shown} {shown!r}"


def _stands_for_a_password(url: str) -> bool:
    """Return whether each canary of a URL follows ':' or `password=`."""
    if "?" in url and ":" in (start := url.partition("?")[0].partition("://")[2]) and "@" not in start:
        return True  # a password with a '?' that was not escaped
    return url.count(_PASSWORD) == url.count(f":{_PASSWORD}@") + url.count(f"password={_PASSWORD}")
