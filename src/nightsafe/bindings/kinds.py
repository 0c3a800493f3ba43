"""The binding types that hold no secret, and the members of each type besides `name` and `type`.

Source: `bindings` of the script upload in the Cloudflare v4 API's specification, and the requests that wrangler
sends. Nightsafe does not keep a member that is not listed here: reads would show it, and it might be a secret that
the client put in the wrong place.
"""

PLAIN_KINDS: dict[str, frozenset[str]] = {
    kind: frozenset(members.split())
    for kind, members in {
        "agent_memory": "namespace",
        "ai": "staging raw",
        "ai_search": "instance_name namespace",
        "ai_search_namespace": "namespace",
        "analytics": "",
        "analytics_engine": "dataset",
        "artifacts": "namespace",
        "assets": "",
        "browser": "raw",
        "d1": "id database_id internalEnv raw",
        "data_blob": "part",
        "dispatch_namespace": "namespace outbound",
        "durable_object_namespace": "class_name script_name environment namespace_id dispatch_namespace",
        "flagship": "app_id",
        "hyperdrive": "id",
        "images": "raw",
        "json": "json",
        "k2": "stream",
        "kv_namespace": "namespace_id raw",
        "logfwdr": "destination",
        "media": "",
        "messaging": "namespace",
        "mtls_certificate": "certificate_id",
        "pipelines": "pipeline stream",
        "plain_text": "text",
        "queue": "queue_name delivery_delay raw",
        "r2_bucket": "bucket_name jurisdiction raw",
        "ratelimit": "namespace_id simple",
        "secrets_store_secret": "store_id secret_name",
        "send_email": "destination_address allowed_destination_addresses allowed_sender_addresses",
        "service": "service environment entrypoint cross_account_grant props",
        "stream": "",
        "text_blob": "part",
        "unsafe_hello_world": "enable_timer",
        "vectorize": "index_name raw",
        "version_metadata": "",
        "vpc_network": "identity network_id tunnel_id",
        "vpc_service": "service_id",
        "wasm_module": "part",
        "worker_loader": "",
        "workflow": "workflow_name class_name script_name raw",
    }.items()
}
"""By type. Nightsafe does not look up the resource (a namespace, a bucket) that a binding names."""

MEMBERLESS_KINDS = frozenset(
    {
        "ai",
        "assets",
        "browser",
        "images",
        "media",
        "send_email",
        "unsafe_hello_world",
        "version_metadata",
        "worker_loader",
    }
)
"""Types that need no members other than `name` and `type`: such a binding is created if it does not exist."""

SCRIPT_REFERENCES: dict[str, tuple[str, ...]] = {
    "dispatch_namespace": ("outbound", "worker", "service"),
    "durable_object_namespace": ("script_name",),
    "service": ("service",),
    "workflow": ("script_name",),
}
"""The types that refer to a script, each with the path of members to the script's name."""
