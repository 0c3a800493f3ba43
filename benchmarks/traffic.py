"""What a loader sends: a request in which the script and the secret are drawn at random."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Self

from benchmarks.settings import ACCOUNT_ID, PER_SCRIPT, VALUE

SCRIPT, SECRET = "{script}", "{secret}"
NAMES = {SCRIPT: "script-%06d", SECRET: "SECRET_%02d"}
"""What stands for a placeholder: the n-th script or secret."""


@dataclass(frozen=True, slots=True)
class Requests:
    """One kind of request.

    Attributes:
        port: on loopback.
        method: GET, PUT or POST.
        path: with {script} and {secret} for what is drawn.
        headers: sent with each.
        body: with the same placeholders; "" for none.
        scripts: how many scripts to draw from.
        secrets: how many secrets of each.
    """

    port: int
    method: str
    path: str
    headers: dict[str, str]
    body: str
    scripts: int
    secrets: int = PER_SCRIPT

    def encode(self) -> str:
        """As JSON, for a loader in a process of its own."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Self:
        """What `encode` gave."""
        return cls(**json.loads(text))

    def build(self, script: int, secret: int) -> bytes:
        """The bytes of one request (RFC 9112)."""
        target, body = (
            text.replace(SCRIPT, NAMES[SCRIPT] % script).replace(SECRET, NAMES[SECRET] % secret)
            for text in (self.path, self.body)
        )
        headers = {"Host": f"127.0.0.1:{self.port}", **self.headers}
        if body:
            headers["Content-Length"] = str(len(body))
        lines = (f"{self.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()))
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def nightsafe_get(port: int, token: str, scripts: int) -> Requests:
    """GET of one secret; the constant answer is asked for by the same request."""
    path = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{SCRIPT}/secrets/{SECRET}"
    return Requests(port, "GET", path, {"Authorization": f"Bearer {token}"}, "", scripts)


def nightsafe_put(port: int, token: str, scripts: int, script: str = SCRIPT) -> Requests:
    """PUT of one `secret_text`."""
    path = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{script}/secrets"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"name": SECRET, "type": "secret_text", "text": VALUE})
    return Requests(port, "PUT", path, headers, body, scripts)


def openbao_get(port: int, token: str, scripts: int) -> Requests:
    """Metadata of one KV v2 secret: as a GET here, it shows the secret without its value."""
    return Requests(port, "GET", f"/v1/secret/metadata/{SCRIPT}/{SECRET}", {"X-Vault-Token": token}, "", scripts)


def openbao_put(port: int, token: str, scripts: int) -> Requests:
    """Write of one KV v2 secret."""
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
    body = json.dumps({"data": {"value": VALUE}})
    return Requests(port, "POST", f"/v1/secret/data/{SCRIPT}/{SECRET}", headers, body, scripts)


def moto_describe(port: int, scripts: int) -> Requests:
    """DescribeSecret: it too shows the secret without its value."""
    return Requests(
        port, "POST", "/", _moto_headers("DescribeSecret"), json.dumps({"SecretId": f"{SCRIPT}/{SECRET}"}), scripts
    )


def moto_create(port: int, scripts: int) -> Requests:
    """CreateSecret, to have something to describe."""
    body = json.dumps({"Name": f"{SCRIPT}/{SECRET}", "SecretString": VALUE})
    return Requests(port, "POST", "/", _moto_headers("CreateSecret"), body, scripts)


def _moto_headers(action: str) -> dict[str, str]:
    """What an AWS client sends; the signature is not looked at."""
    scope = "20260101/us-east-1/secretsmanager/aws4_request"
    return {
        "X-Amz-Target": f"secretsmanager.{action}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=any/{scope}, SignedHeaders=host, Signature=any",
    }


def with_secrets(requests: Requests, secrets: int) -> Requests:
    """The same, over so many secrets of each script."""
    return replace(requests, secrets=secrets)
