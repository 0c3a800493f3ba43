"""The requests that a loader sends, with a random script and secret in each."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Self

from benchmarks.settings import ACCOUNT_ID, PER_SCRIPT, VALUE

SCRIPT, SECRET = "{script}", "{secret}"
NAMES = {SCRIPT: "script-%06d", SECRET: "SECRET_%02d"}
"""The names that replace a placeholder: the n-th script or secret."""


@dataclass(frozen=True, slots=True)
class Requests:
    """One kind of request.

    Attributes:
        port: the port on loopback.
        method: GET, PUT or POST.
        path: the path, with the placeholders {script} and {secret}.
        headers: the headers of each request.
        body: the body, with the same placeholders; "" for no body.
        scripts: the number of scripts to draw from.
        secrets: the number of secrets of each script.
    """

    port: int
    method: str
    path: str
    headers: dict[str, str]
    body: str
    scripts: int
    secrets: int = PER_SCRIPT

    def encode(self) -> str:
        """Encode as JSON, for a loader in a process of its own."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Self:
        """Decode the result of `encode`."""
        return cls(**json.loads(text))

    def build(self, script: int, secret: int) -> bytes:
        """Return the bytes of one request (RFC 9112)."""
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
    """Return a GET of one secret. The constant answer gets the same request."""
    path = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{SCRIPT}/secrets/{SECRET}"
    return Requests(port, "GET", path, {"Authorization": f"Bearer {token}"}, "", scripts)


def nightsafe_put(port: int, token: str, scripts: int, script: str = SCRIPT, value: str = VALUE) -> Requests:
    """Return a PUT of one `secret_text`."""
    path = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{script}/secrets"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"name": SECRET, "type": "secret_text", "text": value})
    return Requests(port, "PUT", path, headers, body, scripts)


def openbao_get(port: int, token: str, scripts: int) -> Requests:
    """Return a read of the metadata of one KV v2 secret, which shows the secret without its value, like our GET."""
    return Requests(port, "GET", f"/v1/secret/metadata/{SCRIPT}/{SECRET}", {"X-Vault-Token": token}, "", scripts)


def openbao_put(port: int, token: str, scripts: int, value: str = VALUE) -> Requests:
    """Return a write of one KV v2 secret."""
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
    body = json.dumps({"data": {"value": value}})
    return Requests(port, "POST", f"/v1/secret/data/{SCRIPT}/{SECRET}", headers, body, scripts)


def moto_describe(port: int, scripts: int) -> Requests:
    """Return a DescribeSecret, which also shows the secret without its value."""
    return Requests(
        port, "POST", "/", _moto_headers("DescribeSecret"), json.dumps({"SecretId": f"{SCRIPT}/{SECRET}"}), scripts
    )


def moto_create(port: int, scripts: int) -> Requests:
    """Return a CreateSecret, which makes a secret to describe."""
    body = json.dumps({"Name": f"{SCRIPT}/{SECRET}", "SecretString": VALUE})
    return Requests(port, "POST", "/", _moto_headers("CreateSecret"), body, scripts)


def _moto_headers(action: str) -> dict[str, str]:
    """Return the headers of an AWS client. moto does not check the signature."""
    scope = "20260101/us-east-1/secretsmanager/aws4_request"
    return {
        "X-Amz-Target": f"secretsmanager.{action}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=any/{scope}, SignedHeaders=host, Signature=any",
    }


def with_secrets(requests: Requests, secrets: int) -> Requests:
    """Return the same requests for another number of secrets of each script."""
    return replace(requests, secrets=secrets)
