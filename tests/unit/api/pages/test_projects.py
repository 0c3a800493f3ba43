"""Pages projects: their settings are stored, and their secrets are sealed and never shown."""

import json
from typing import Any

import pytest
from tests.unit.api.tools.collections import SPREAD, events, items, opened
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api
from tests.unit.api.tools.values import holds_plant, planted

from nightsafe.store.collections import Kind

PROJECTS = f"/client/v4/accounts/{ACCOUNT}/pages/projects"
PROJECT = f"{PROJECTS}/blog"
HIDDEN = {"type": "secret_text", "value": ""}


@pytest.fixture
def blog(own_api: Api) -> Api:
    """Return an API with the project `blog`."""
    assert own_api.json("POST", PROJECTS, {"name": "blog", "production_branch": "trunk"}).status == 200
    return own_api


def secret(value: str) -> dict[str, str]:
    """Return a secret variable in the form of a request."""
    return {"type": "secret_text", "value": value}


def patch(api: Api, **environments: Any) -> Answer:
    """PATCH the configurations of environments."""
    return api.json("PATCH", PROJECT, {"deployment_configs": environments})


def config(api: Api, environment: str = "production") -> dict[str, Any]:
    """Return the configuration of an environment as it is shown."""
    kept: dict[str, Any] = api.send("GET", PROJECT).result["deployment_configs"][environment]
    return kept


def test_a_project_is_listed_until_it_is_deleted(own_api: Api) -> None:
    """A project is made, listed in pages, shown and deleted."""
    body = {"name": "blog", "production_branch": "main", "deployment_configs": {"production": {}, "preview": {}}}
    made = own_api.json("POST", PROJECTS, body).result
    assert own_api.json("POST", PROJECTS, {"name": "shop"}).status == 200

    assert ("blog", "main", [], None) == tuple(
        made[member] for member in ("name", "production_branch", "domains", "latest_deployment")
    )
    assert made["subdomain"].endswith(".invalid")
    assert made == own_api.send("GET", PROJECT).result
    pages = [own_api.send("GET", f"{PROJECTS}?page={page}&per_page=1") for page in (1, 2, 3)]
    assert [["blog"], ["shop"], []] == [[project["name"] for project in page.result] for page in pages]
    assert {2} == {page.envelope["result_info"]["total_count"] for page in pages}
    assert own_api.send("DELETE", PROJECT).result is None
    for method in ("GET", "DELETE"):
        assert (404, [8000007]) == own_api.send(method, PROJECT).refusal
    assert (404, [8000007]) == patch(own_api).refusal


def test_project_secrets_are_never_shown(blog: Api) -> None:
    """A value opens only in its own environment, and is in no answer, log entry or file of the database."""
    values = {environment: planted() for environment in ("production", "preview")}
    answers = [
        patch(blog, **{name: {"env_vars": {"KEY": secret(value)}} for name, value in values.items()}),
        blog.send("GET", PROJECT),
        blog.send("GET", PROJECTS),
    ]

    for environment, value in values.items():
        assert {"KEY": HIDDEN} == config(blog, environment)["env_vars"]
        assert value.encode() == opened(blog, Kind.PAGES_PROJECT, "blog", "KEY", environment)
    assert not any(holds_plant(answer.body) for answer in answers)
    assert not any(holds_plant(file.read_bytes()) for file in blog.path.parent.iterdir())
    event = events(blog)[-1]
    assert ("projects.edit", "pages_project", "blog") == (event["action"], event["holder"], event["resource"])
    assert {"production/KEY", "preview/KEY"} == set(event["set"])


def test_a_project_is_made_with_secrets(own_api: Api) -> None:
    """Secrets in the request that makes a project are sealed like later ones."""
    value = planted()
    configs = {"preview": {"env_vars": {"KEY": secret(value), "MODE": {"value": "dark"}}}}
    made = own_api.json("POST", PROJECTS, {"name": "blog", "deployment_configs": configs})

    shown = {"KEY": HIDDEN, "MODE": {"type": "plain_text", "value": "dark"}}
    assert shown == made.result["deployment_configs"]["preview"]["env_vars"]
    assert value.encode() == opened(own_api, Kind.PAGES_PROJECT, "blog", "KEY", "preview")


def test_a_patch_changes_only_the_members_it_names(blog: Api) -> None:
    """Null removes, an object sets, and omitted members and the other environment stay."""
    first = {
        "env_vars": {"A": secret("a"), "B": {"type": "plain_text", "value": "b"}},
        "kv_namespaces": {"K": {"namespace_id": "1"}, "L": {"namespace_id": "2"}},
        "limits": {"cpu_ms": 5},
        "compatibility_date": "2024-01-01",
        "compatibility_flags": ["nodejs_compat"],
        "wrangler_config_hash": "h1",
        "unheard_of": {"token": "x"},
    }
    assert patch(blog, production=first).status == 200
    second = {"env_vars": {"A": None, "C": secret("c"), "NONE": None}, "kv_namespaces": {"K": None}, "limits": None}
    changed = patch(blog, production=second).result["deployment_configs"]

    shown = changed["production"]
    assert {"B": {"type": "plain_text", "value": "b"}, "C": HIDDEN} == shown["env_vars"]
    assert {"L": {"namespace_id": "2"}} == shown["kv_namespaces"]
    assert ("2024-01-01", ["nodejs_compat"], "h1") == tuple(
        shown[member] for member in ("compatibility_date", "compatibility_flags", "wrangler_config_hash")
    )
    assert not {"limits", "unheard_of"} & set(shown)
    assert {} == changed["preview"]["env_vars"]


def test_a_variable_is_replaced_with_its_type(blog: Api) -> None:
    """A variable is replaced together with its type."""
    assert patch(blog, production={"env_vars": {"A": secret("old")}}).status == 200
    assert patch(blog, production={"env_vars": {"A": secret("new")}}).status == 200
    assert b"new" == opened(blog, Kind.PAGES_PROJECT, "blog", "A", "production")

    assert patch(blog, production={"env_vars": {"A": {"value": "open"}}}).status == 200
    assert {"A": {"type": "plain_text", "value": "open"}} == config(blog)["env_vars"]
    assert items(blog, Kind.PAGES_PROJECT, "blog")["production", "A"].sealed is None


def test_a_secret_without_a_value_is_kept(blog: Api) -> None:
    """A secret without its value is kept; a new secret needs a value, which may be empty."""
    assert patch(blog, production={"env_vars": {"A": secret("a"), "EMPTY": secret("")}}).status == 200
    assert patch(blog, production={"env_vars": {"A": {"type": "secret_text"}}}).status == 200

    assert b"a" == opened(blog, Kind.PAGES_PROJECT, "blog", "A", "production")
    assert b"" == opened(blog, Kind.PAGES_PROJECT, "blog", "EMPTY", "production")
    refused = patch(blog, preview={"env_vars": {"A": {"type": "secret_text"}, "B": secret("b")}})
    assert (400, [10021]) == refused.refusal
    assert "'A' in preview" in refused.messages[0]
    assert {} == config(blog, "preview")["env_vars"]


def test_json_labelled_as_plain_text_is_accepted(blog: Api) -> None:
    """JSON is accepted as `text/plain`, as wrangler's HTTP library labels it, but not as another type."""
    body = json.dumps({"deployment_configs": {"production": {"env_vars": {"A": secret("a")}}}}).encode()

    assert blog.send("PATCH", PROJECT, body, [SPREAD]).status == 200
    assert (400, [10001]) == blog.send("PATCH", PROJECT, body, [(b"content-type", b"text/html")]).refusal
    encoded = [SPREAD, (b"content-encoding", b"gzip")]
    assert (400, [10001]) == blog.send("PATCH", PROJECT, body, encoded).refusal
    assert (400, [10026]) == blog.send("PATCH", PROJECT, b"{", [SPREAD]).refusal
    assert (400, [10026]) == blog.send("PATCH", PROJECT, b"", [SPREAD]).refusal


AT = "/deployment_configs/production"


@pytest.mark.parametrize(
    ("production", "code", "pointer"),
    [
        (1, 10021, AT),
        ({"env_vars": []}, 10021, f"{AT}/env_vars"),
        ({"env_vars": {"A": "planted-value"}}, 10021, f"{AT}/env_vars/A"),
        ({"env_vars": {"A": {"type": "secret_key", "value": "planted-value"}}}, 10021, f"{AT}/env_vars/A/type"),
        ({"env_vars": {"A": {"type": "secret_text", "value": 1}}}, 10021, f"{AT}/env_vars/A/value"),
        ({"env_vars": {"A": {}}}, 10021, f"{AT}/env_vars/A/value"),
        ({"env_vars": {"": {"value": "planted-value"}}}, 10021, f"{AT}/env_vars/"),
        ({"env_vars": {"~/": secret("planted-value" * 400)}}, 10054, f"{AT}/env_vars/~0~1/value"),
        ({"env_vars": {"A" * 2713: secret("planted-value")}}, 10100, f"{AT}/env_vars/{'A' * 2713}"),
        ({"env_vars": {f"A{n}": secret("planted-value") for n in range(101)}}, 100160, "/deployment_configs"),
        ({"wrangler_config_hash": 1}, 10021, f"{AT}/wrangler_config_hash"),
        ({"fail_open": 1}, 10021, f"{AT}/fail_open"),
        ({"build_image_major_version": True}, 10021, f"{AT}/build_image_major_version"),
        ({"compatibility_flags": [1]}, 10021, f"{AT}/compatibility_flags"),
        ({"usage_model": "x" * 9000}, 10021, f"{AT}/usage_model"),
        ({"kv_namespaces": {"K": "planted-value"}}, 10021, f"{AT}/kv_namespaces/K"),
        ({"kv_namespaces": {"K": {"namespace_id": {}}}}, 10021, f"{AT}/kv_namespaces/K/namespace_id"),
        ({"placement": "smart"}, 10021, f"{AT}/placement"),
    ],
)  # fmt: skip
def test_an_invalid_environment_is_refused_with_a_pointer(
    api: Api, production: object, code: int, pointer: str
) -> None:
    """The refusal points at the bad member and repeats no value; nothing changes."""
    api.json("POST", PROJECTS, {"name": "blog"})
    before = api.send("GET", PROJECT).body
    refused = patch(api, production=production)

    assert (400, [code]) == refused.refusal
    assert [pointer] == refused.pointers
    assert not holds_plant(refused.body)
    assert before == api.send("GET", PROJECT).body


@pytest.mark.parametrize("name", [None, 1, "", "Blog", "-blog", "blog/", "a_b", "a" * 59])
def test_invalid_project_names_are_refused(api: Api, name: object) -> None:
    """The refusal points at the name."""
    refused = api.json("POST", PROJECTS, {"name": name})

    assert (400, [10021]) == refused.refusal
    assert ["/name"] == refused.pointers


def test_the_limits_of_a_project_hold_across_patches(blog: Api) -> None:
    """The limits of variables and of other settings hold across patches; removing members is always accepted."""
    limit = blog.limits.max_variables
    variables = {f"V{number}": {"value": "x"} for number in range(limit)}
    for part in (slice(0, 100), slice(100, limit)):
        assert patch(blog, production={"env_vars": dict([*variables.items()][part])}).status == 200
    bindings = {f"K{number}": {"namespace_id": "x" * 32} for number in range(700)}
    assert patch(blog, production={"kv_namespaces": bindings}).status == 200

    more = patch(blog, production={"env_vars": {"A": {"value": "x"}}})
    assert (400, [10055]) == more.refusal
    assert ["/deployment_configs/production/env_vars"] == more.pointers
    others = {f"L{name}": binding for name, binding in bindings.items()}
    assert (400, [10021]) == patch(blog, production={"kv_namespaces": others}).refusal
    exchanged = {"A": {"value": "x"}, "V0": None, "V1": {"value": "y"}}
    assert patch(blog, production={"env_vars": exchanged}).status == 200
    assert patch(blog, preview={"env_vars": dict([*variables.items()][:100])}).status == 200
    assert (limit, 700) == tuple(len(config(blog)[member]) for member in ("env_vars", "kv_namespaces"))


@pytest.mark.parametrize("name", [1, [], {}, ["blog"]])
def test_a_name_other_than_a_string_is_refused(blog: Api, name: object) -> None:
    """A name other than a string is refused with a pointer."""
    refused = blog.json("PATCH", PROJECT, {"name": name})

    assert ((400, [10021]), ["/name"]) == (refused.refusal, refused.pointers)


def test_a_project_name_in_use_is_refused(blog: Api) -> None:
    """A name in use is refused with the code of Pages."""
    assert (400, [8000002]) == blog.json("POST", PROJECTS, {"name": "blog"}).refusal


def test_builds_and_deployments_are_refused(blog: Api) -> None:
    """Builds and deployments are refused with 10015; lists of them are empty."""
    for path in ("deployments", "domains"):
        assert [] == blog.send("GET", f"{PROJECT}/{path}").result
        assert (404, [8000007]) == blog.send("GET", f"{PROJECTS}/nowhere/{path}").refusal
        assert (400, [10015]) == blog.json("POST", f"{PROJECT}/{path}", {}).refusal
    assert (400, [10015]) == blog.send("GET", f"{PROJECT}/upload-token").refusal
    assert (400, [10015]) == blog.send("POST", f"{PROJECT}/purge_build_cache").refusal
    assert (400, [10015]) == blog.json("PATCH", PROJECT, {"name": "other"}).refusal
    assert (400, [10015]) == blog.json("PATCH", PROJECT, {"source": {"type": "github"}}).refusal
    assert blog.json("PATCH", PROJECT, {"name": "blog", "production_branch": "x"}).result["production_branch"] == "x"


def test_build_settings_are_stored_without_their_token(blog: Api) -> None:
    """Build settings are stored and shown, except a token, which is not stored."""
    build = {"build_command": "make", "destination_dir": "out", "web_analytics_token": "planted-value"}
    changed = blog.json("PATCH", PROJECT, {"build_config": build})

    assert {"build_command": "make", "destination_dir": "out"} == changed.result["build_config"]
    assert not any(holds_plant(file.read_bytes()) for file in blog.path.parent.iterdir())
    assert {"destination_dir": "out"} == blog.json(
        "PATCH", PROJECT, {"build_config": {"build_command": None}}
    ).result["build_config"]
