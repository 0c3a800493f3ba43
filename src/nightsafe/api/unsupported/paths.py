"""Refuses requests for Cloudflare products that Nightsafe does not offer, with the name of the product.

Only paths without a route get here, so the refusal needs no credentials and reveals nothing about any account.
"""

import re

from nightsafe.errors import Code, NightsafeError

_ACCOUNT = r"/client/v4/accounts/[^/]+"
_SCRIPT = (
    rf"{_ACCOUNT}/workers/(?:scripts/[^/]+|services/[^/]+/environments/[^/]+"
    r"|dispatch/namespaces/[^/]+/scripts/[^/]+)"
)
_R2 = (
    "keep R2 buckets: remove r2_buckets from the configuration file. The binding may stay only without delivery, or "
    "with --accept-undeliverable: 'wrangler deploy --x-provision=false' then asks for no bucket"
)
_ABSENT = tuple(
    (re.compile(rf"{path}(?:/[^/]+)*".encode()), what)
    for path, what in (
        (r"/client/v4/zones", "have zones: a Worker here has no routes"),
        (rf"{_ACCOUNT}/(?:ai|ai-gateway|ai-search)", "run models"),
        (rf"{_ACCOUNT}/(?:cloudchamber|containers)", "run containers"),
        (rf"{_ACCOUNT}/d1", "keep D1 databases"),
        (rf"{_ACCOUNT}/hyperdrive", "keep Hyperdrive configurations"),
        (
            rf"{_ACCOUNT}/logs/audit/[^/]+/history",
            "keep a history of each resource apart from the audit log: filter the log by resource_id",
        ),
        (rf"{_ACCOUNT}/pages/projects/[^/]+/deployments", "deploy Pages projects"),
        (rf"{_ACCOUNT}/pages/projects/[^/]+/domains", "serve Pages projects on domains"),
        (rf"{_ACCOUNT}/pipelines", "run pipelines"),
        (rf"{_ACCOUNT}/queues", "run queues"),
        (rf"{_ACCOUNT}/r2", _R2),
        (rf"{_ACCOUNT}/storage/kv", "keep KV namespaces"),
        (rf"{_ACCOUNT}/vectorize", "keep Vectorize indexes"),
        (rf"{_ACCOUNT}/workflows", "run workflows"),
        (rf"{_ACCOUNT}/workers/account-settings", "keep settings of all Workers: each Worker has its own"),
        (rf"{_ACCOUNT}/workers/assets", "keep static assets"),
        (rf"{_ACCOUNT}/workers/domains", "serve custom domains"),
        (rf"{_ACCOUNT}/workers/durable_objects", "keep Durable Objects"),
        (rf"{_ACCOUNT}/workers/observability", "keep logs"),
        (rf"{_ACCOUNT}/workers/subdomain/edge-preview", "run a Worker for 'wrangler dev --remote'"),
        (rf"{_ACCOUNT}/workers/workers/[^/]+/previews", "have preview deployments"),
        (rf"{_SCRIPT}/assets-upload-session", "keep static assets"),
        (rf"{_SCRIPT}/domains", "serve custom domains"),
        (rf"{_SCRIPT}/edge-preview", "run a Worker for 'wrangler dev --remote'"),
        (rf"{_SCRIPT}/tails", "stream a Worker's logs"),
    )
)


def refusal_of(raw_path: bytes) -> NightsafeError | None:
    """Return UNSUPPORTED with the name of a path's product, or None for a path without a known product."""
    for path, what in _ABSENT:
        if path.fullmatch(raw_path):
            return NightsafeError(Code.UNSUPPORTED, what)
    return None
