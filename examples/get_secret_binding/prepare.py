"""Uploads a Worker and gives it one `secret_text` and one `secret_key`, for `snippet.py` to read."""

import base64
import os

from cloudflare import Cloudflare

ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
SCRIPT_NAME = "this-is_my_script-01"
WORKER = b"""
export default {
  async fetch(request, env) {
    return new Response(typeof env.mySecret);
  },
};
"""


def main() -> None:
    """Upload the script, then put its secrets."""
    client = Cloudflare()
    client.workers.scripts.update(
        SCRIPT_NAME,
        account_id=ACCOUNT_ID,
        metadata={"main_module": "worker.js", "compatibility_date": "2026-04-01"},
        files=[("worker.js", WORKER, "application/javascript+module")],
    )
    secrets = client.workers.scripts.secrets
    secrets.update(SCRIPT_NAME, account_id=ACCOUNT_ID, name="mySecret", text=os.urandom(16).hex(), type="secret_text")
    secrets.update(
        SCRIPT_NAME,
        account_id=ACCOUNT_ID,
        name="myKey",
        type="secret_key",
        algorithm={"name": "HMAC", "hash": "SHA-256"},
        format="raw",
        usages=["sign", "verify"],
        key_base64=base64.b64encode(os.urandom(32)).decode(),
    )
    print(
        "secrets of", SCRIPT_NAME, "-", *(secret.name for secret in secrets.list(SCRIPT_NAME, account_id=ACCOUNT_ID))
    )


if __name__ == "__main__":
    main()
