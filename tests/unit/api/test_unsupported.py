"""Products that Nightsafe does not keep: reads get empty lists, and changes are refused."""

import json

import pytest
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Api, script_at

AT = f"/client/v4/accounts/{ACCOUNT}"
WORKER = script_at("worker")


@pytest.mark.parametrize("page", ["storage/kv/namespaces", "workers/durable_objects/namespaces"])
def test_lists_of_namespaces_are_an_empty_page(api: Api, page: str) -> None:
    """Lists of namespaces, which wrangler reads when it deletes a Worker, are an empty page."""
    answer = api.send("GET", f"{AT}/{page}?per_page=100&order=title&direction=asc&page=1")

    assert [] == answer.result
    info = json.loads(answer.body)["result_info"]
    assert {"page": 1, "per_page": 100, "count": 0, "total_count": 0, "total_pages": 0} == info


@pytest.mark.parametrize(
    "path",
    [
        f"{AT}/workers/domains",
        f"{AT}/workers/domains/records?page=0&per_page=5&service=worker&environment=production",
        f"{WORKER}/routes?show_zonename=true",
        f"{WORKER}/tails",
        f"{AT}/workers/tails/by-consumer/worker",
        f"{AT}/workers/tails/by-consumer/nowhere",
    ],
)
def test_lists_of_unsupported_objects_are_empty(api: Api, path: str) -> None:
    """Lists of objects that Nightsafe does not have are empty."""
    assert [] == api.send("GET", path).result


@pytest.mark.parametrize(
    ("method", "path", "product"),
    [
        ("POST", f"{AT}/storage/kv/namespaces", "KV namespaces"),
        ("PUT", f"{AT}/storage/kv/namespaces/1/values/a%2Fb", "KV namespaces"),
        ("GET", f"{AT}/workers/durable_objects/namespaces/1/objects", "Durable Objects"),
        ("PUT", f"{AT}/workers/domains", "custom domains"),
        ("DELETE", f"{AT}/workers/domains/1", "custom domains"),
        ("GET", f"{AT}/workers/domains/records/1", "custom domains"),
        ("PUT", f"{WORKER}/domains/records", "custom domains"),
        ("POST", f"{WORKER}/domains/changeset?replace_state=true", "custom domains"),
        ("POST", f"{WORKER}/tails", "logs"),
        ("DELETE", f"{WORKER}/tails/1", "logs"),
        ("POST", f"{AT}/workers/services/worker/environments/production/tails", "logs"),
        ("POST", f"{WORKER}/assets-upload-session", "static assets"),
        ("POST", f"{AT}/workers/dispatch/namespaces/n/scripts/s/assets-upload-session", "static assets"),
        ("POST", f"{AT}/workers/assets/upload?base64=true", "static assets"),
        ("GET", f"{AT}/workers/subdomain/edge-preview", "dev --remote"),
        ("GET", f"{AT}/workers/workers/worker/previews/p/deployments/another", "preview deployments"),
        ("DELETE", f"{AT}/workers/subdomain", "workers.dev"),
        ("GET", f"{AT}/workers/account-settings", "settings of all Workers"),
        ("POST", f"{AT}/pages/projects/p/deployments/1/rollback", "deploy Pages projects"),
        ("GET", f"{AT}/pages/projects/p/domains/example.com", "domains"),
        ("GET", f"{AT}/d1/database?name=x", "D1 databases"),
        ("GET", f"{AT}/r2/buckets/x", "R2 buckets"),
        ("GET", f"{AT}/queues?page=1&name=q", "queues"),
        ("PUT", f"{AT}/workflows/w", "workflows"),
        ("GET", "/client/v4/zones?name=example.com", "zones"),
        ("GET", f"/client/v4/zones/{ACCOUNT}/workers/routes", "zones"),
    ],
)
def test_unsupported_requests_name_the_product(api: Api, method: str, path: str, product: str) -> None:
    """The refusal is 400 / 10015 with the product's name, never 10007, at which wrangler would make a Worker."""
    answer = api.send(method, path)

    assert (400, [10015]) == answer.refusal
    assert answer.messages[0].startswith("Nightsafe does not ")
    assert product in answer.messages[0]


@pytest.mark.parametrize(
    "path",
    [
        f"{AT}/storage/kvx",
        f"{AT}/queue",
        f"{AT}/queues/",
        f"{AT}/workers/nonsense",
        f"{SCRIPTS}//tails",
        f"{WORKER}/tails/",
        f"{WORKER}/tailsx",
    ],
)
def test_unknown_paths_get_404(api: Api, path: str) -> None:
    """Unknown paths get 404 with 7003 and 7000."""
    assert (404, [7003, 7000]) == api.send("GET", path).refusal


def test_only_an_empty_list_of_routes_is_accepted(api: Api) -> None:
    """Wrangler puts all routes of a Worker at once; only an empty list is accepted."""
    assert [] == api.json("PUT", f"{WORKER}/routes", []).result
    answer = api.json("PUT", f"{WORKER}/routes", [{"pattern": "example.com/*"}])
    assert (400, [10015]) == answer.refusal
    assert "routes" in answer.messages[0]
    assert (404, [10007]) == api.send("GET", f"{script_at('nowhere')}/routes").refusal
    assert (404, [10007]) == api.send("GET", f"{script_at('nowhere')}/tails").refusal
