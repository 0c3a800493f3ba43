"""A certificate authority that the sinks trust, and another one."""

from tests.clients.tls.conftest import authority, pair, stranger

__all__ = ["authority", "pair", "stranger"]
