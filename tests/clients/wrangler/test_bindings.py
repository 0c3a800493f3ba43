"""Bindings to other products: they are stored as they are and survive changes of secrets."""

from typing import Any

from tests.clients.wrangler.project import HUSH, Project

CODE = """
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {}
export default { fetch() { return new Response("hello"); } };
"""
CONFIGURED: dict[str, Any] = {
    "ai": {"binding": "AI"},
    "analytics_engine_datasets": [{"binding": "EVENTS", "dataset": "events"}],
    "browser": {"binding": "BROWSER"},
    "d1_databases": [{"binding": "DB", "database_name": "db", "database_id": "1" * 32}],
    "dispatch_namespaces": [{"binding": "TENANTS", "namespace": "tenants"}],
    "durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
    "hyperdrive": [{"binding": "PG", "id": "2" * 32}],
    "images": {"binding": "IMAGES"},
    "kv_namespaces": [{"binding": "CACHE", "id": "3" * 32}],
    "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
    "mtls_certificates": [{"binding": "CERT", "certificate_id": "4" * 32}],
    "r2_buckets": [{"binding": "BUCKET", "bucket_name": "bucket"}],
    "ratelimits": [{"name": "RATE", "namespace_id": "1", "simple": {"limit": 10, "period": 60}}],
    "send_email": [{"name": "MAIL"}],
    "services": [{"binding": "OTHER", "service": "other"}],
    "vectorize": [{"binding": "VECTORS", "index_name": "vectors"}],
    "version_metadata": {"binding": "META"},
}
EXPECTED: dict[str, dict[str, Any]] = {
    "AI": {"type": "ai"},
    "BROWSER": {"type": "browser"},
    "BUCKET": {"type": "r2_bucket", "bucket_name": "bucket"},
    "CACHE": {"type": "kv_namespace", "namespace_id": "3" * 32},
    "CERT": {"type": "mtls_certificate", "certificate_id": "4" * 32},
    "COUNTER": {"type": "durable_object_namespace", "class_name": "Counter"},
    "DB": {"type": "d1", "id": "1" * 32},
    "EVENTS": {"type": "analytics_engine", "dataset": "events"},
    "IMAGES": {"type": "images"},
    "MAIL": {"type": "send_email"},
    "META": {"type": "version_metadata"},
    "OTHER": {"type": "service", "service": "other"},
    "PG": {"type": "hyperdrive", "id": "2" * 32},
    "RATE": {"type": "ratelimit", "namespace_id": "1", "simple": {"limit": 10, "period": 60}},
    "TENANTS": {"type": "dispatch_namespace", "namespace": "tenants"},
    "VECTORS": {"type": "vectorize", "index_name": "vectors"},
}


def test_every_binding_survives_edits_of_secrets(project: Project) -> None:
    """Bindings are unchanged after a deployment and edits of secrets; an R2 bucket needs `--x-provision=false`."""
    project.wire.upload("other")
    project.write("index.js", CODE)
    project.configure(**CONFIGURED, limits={"cpu_ms": 50}, placement={"mode": "smart"})

    refused = project.refused("deploy")
    assert "Nightsafe does not keep R2 buckets: remove r2_buckets from the configuration file" in refused.err
    assert "The binding may stay only without delivery, or with --accept-undeliverable" in refused.err
    assert "'wrangler deploy --x-provision=false' then asks for no bucket" in refused.err
    project.ok("deploy", "--x-provision=false")
    project.ok("secret", "bulk", stdin=f'{{"A": "{HUSH}"}}')
    project.ok("versions", "secret", "put", "B", stdin=HUSH)

    kept = project.bindings()
    assert {"A": HUSH, "B": HUSH} == project.values()
    assert ["secret_text"] * 2 == [kept.pop(name)["type"] for name in ("A", "B")]
    assert {name: {"name": name, **binding} for name, binding in EXPECTED.items()} == kept
    settings = project.get("/settings")
    assert ({"cpu_ms": 50}, {"mode": "smart"}) == (settings["limits"], settings["placement"])
