"""Products that Nightsafe does not have: empty lists, and refusals that name the product."""

from collections.abc import Callable
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare
from tests.clients.python_sdk.tools.settling import gathered
from tests.clients.python_sdk.tools.workers import codes
from tests.server import ACCOUNT


async def test_lists_of_unsupported_products_are_empty(either: Any) -> None:
    """The lists end, even if the client reads pages until one is empty."""
    for listing in (
        either.kv.namespaces.list(account_id=ACCOUNT),
        either.durable_objects.namespaces.list(account_id=ACCOUNT),
        either.workers.domains.list(account_id=ACCOUNT),
    ):
        assert [] == await gathered(listing)


def test_unsupported_calls_name_the_product(client: Cloudflare, script: str) -> None:
    """Each call raises BadRequestError with 10015 and the product's name, and never 10007."""
    kv, workers = client.kv.namespaces, client.workers
    no_id = "0" * 32
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("KV namespaces", lambda: kv.create(account_id=ACCOUNT, title="x")),
        ("KV namespaces", lambda: kv.get(no_id, account_id=ACCOUNT)),
        ("KV namespaces", lambda: kv.delete(no_id, account_id=ACCOUNT)),
        ("KV namespaces", lambda: kv.values.get("key", account_id=ACCOUNT, namespace_id=no_id)),
        ("custom domains", lambda: workers.domains.get("x", account_id=ACCOUNT)),
        ("custom domains", lambda: workers.domains.delete("x", account_id=ACCOUNT)),
        (
            "custom domains",
            lambda: workers.domains.update(account_id=ACCOUNT, hostname="a.b", service=script, zone_id=no_id),
        ),
        ("workers.dev", lambda: workers.subdomains.update(account_id=ACCOUNT, subdomain="other")),
        ("workers.dev", lambda: workers.subdomains.delete(account_id=ACCOUNT)),
        ("settings of all Workers", lambda: workers.account_settings.get(account_id=ACCOUNT)),
        (
            "settings of all Workers",
            lambda: workers.account_settings.update(account_id=ACCOUNT, default_usage_model="standard"),
        ),
        ("static assets", lambda: workers.assets.upload.create(account_id=ACCOUNT, base64=True, body={})),
        ("static assets", lambda: workers.scripts.assets.upload.create(script, account_id=ACCOUNT, manifest={})),
        ("zones", lambda: list(workers.routes.list(zone_id=no_id))),
        ("queues", lambda: list(client.queues.list(account_id=ACCOUNT))),
        ("R2 buckets", lambda: client.r2.buckets.list(account_id=ACCOUNT)),
    ]
    for what, call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [10015]) == codes(raised.value)
        assert what in str(raised.value.errors[0].message)


def test_the_workers_dev_subdomain_is_a_placeholder(client: Cloudflare) -> None:
    """The account's workers.dev subdomain is a placeholder; it can be set only to the same name."""
    subdomains = client.workers.subdomains
    name = subdomains.get(account_id=ACCOUNT).subdomain

    assert name == f"nightsafe_{ACCOUNT[:8]}"
    assert name == subdomains.update(account_id=ACCOUNT, subdomain=name).subdomain
