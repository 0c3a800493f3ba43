"""Services and environments: other paths to the same scripts."""

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Api, File, form, form_type, script_at

SERVICES = f"/client/v4/accounts/{ACCOUNT}/workers/services"
STAGING = f"{SERVICES}/w/environments/staging"
PRODUCTION = f"{SERVICES}/w/environments/production"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with a script `w` that has a tag and a secret."""
    secret = {"type": "secret_text", "name": "S", "text": "value"}
    metadata = {"main_module": "worker.js", "compatibility_date": "2024-01-01", "tags": ["a"], "bindings": [secret]}
    assert own_api.upload("w", metadata).status == 200
    return own_api


def test_a_service_shows_its_script(worker: Api) -> None:
    """A service shows its script and its environments, which wrangler reads before it deploys."""
    tag = worker.send("GET", script_at("")[:-1]).result[0]["tag"]

    service = worker.send("GET", f"{SERVICES}/w").result

    assert "w" == service["id"]
    default = service["default_environment"]
    assert "production" == default["environment"]
    assert (tag, ["a"], "api") == tuple(default["script"][name] for name in ("tag", "tags", "last_deployed_from"))
    assert [("production", tag)] == [
        (environment["environment"], environment["script_tag"]) for environment in service["environments"]
    ]
    assert default == worker.send("GET", PRODUCTION).result


def test_a_service_without_tags_shows_an_empty_list(own_api: Api) -> None:
    """A script without tags shows an empty list, because wrangler expects a list."""
    own_api.upload("w")

    assert [] == own_api.send("GET", f"{SERVICES}/w").result["default_environment"]["script"]["tags"]


def test_a_missing_service_gets_10090(own_api: Api) -> None:
    """A missing service gets 404 / 10090; wrangler recognises a new Worker by this code."""
    for method in ("GET", "DELETE"):
        assert (404, [10090]) == own_api.send(method, f"{SERVICES}/nowhere").refusal
    assert (404, [10090]) == own_api.send("GET", f"{SERVICES}/nowhere/environments/production").refusal
    assert (404, [10007]) == own_api.send("GET", f"{SERVICES}/nowhere/environments/staging/secrets").refusal


@pytest.mark.parametrize("query", ["", "?force=false", "?force=true"])
def test_a_service_is_deleted_with_its_script(worker: Api, query: str) -> None:
    """Deleting a service deletes its script, and the name is free at once."""
    assert None is worker.send("DELETE", f"{SERVICES}/w{query}").result

    assert (404, [10007]) == worker.send("GET", script_at("w")).refusal
    assert (404, [10090]) == worker.send("DELETE", f"{SERVICES}/w{query}").refusal
    assert 200 == worker.upload("w").status


def test_the_default_environment_is_the_script_itself(worker: Api) -> None:
    """Every page of the default environment equals the script's own page."""
    pages = ("secrets", "settings", "script-settings", "bindings", "subdomain", "schedules", "routes", "content/v2")
    for page in pages:
        of_script = worker.send("GET", f"{script_at('w')}/{page}")
        of_environment = worker.send("GET", f"{PRODUCTION}/{page}")
        assert 200 == of_script.status
        if page != "content/v2":
            assert of_script.result == of_environment.result
    assert [{"name": "S", "type": "secret_text"}] == worker.send("GET", f"{PRODUCTION}/bindings").result


def test_another_environment_is_a_script_of_its_own(worker: Api) -> None:
    """Another environment has its own code, secrets and settings; wrangler uses it with `legacy_env: false`."""
    assert (404, [10090]) == worker.send("GET", STAGING).refusal
    metadata = File("metadata", b'{"main_module":"worker.js","bindings":[],"logpush":false}', as_file=False)
    code = File("worker.js", b"export default { fetch() {} }")
    assert 200 == worker.send("PUT", STAGING, form(metadata, code), [form_type()]).status

    worker.json("PUT", f"{STAGING}/secrets", {"type": "secret_text", "name": "K", "text": "v"})
    worker.json("POST", f"{STAGING}/subdomain", {"enabled": True})
    settings = File("settings", b'{"bindings":[{"type":"secret_text","name":"K"}]}', as_file=False)
    assert 200 == worker.send("PATCH", f"{STAGING}/settings", form(settings), [form_type()]).status

    secret = [{"name": "K", "type": "secret_text"}]
    assert (
        secret == worker.send("GET", f"{STAGING}/secrets").result == worker.send("GET", f"{STAGING}/bindings").result
    )
    assert secret == worker.send("GET", f"{script_at('w-staging')}/secrets").result
    assert ("staging", "w-staging") == (
        worker.send("GET", STAGING).result["environment"],
        worker.send("GET", STAGING).result["script"]["id"],
    )
    assert True is worker.send("GET", f"{script_at('w')}/subdomain").result["enabled"]
    assert 200 == worker.send("DELETE", f"{STAGING}/secrets/K?url_encoded=true").status
    assert [{"name": "S", "type": "secret_text"}] == worker.send("GET", f"{script_at('w')}/secrets").result
    assert 200 == worker.send("DELETE", STAGING).status
    assert (404, [10007]) == worker.send("GET", script_at("w-staging")).refusal
