"""Deployments for older wranglers: lists by the script's tag, details, and rollbacks by an upload."""

from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, File, form, form_type, script_at
from tests.unit.api.tools.tokens import keep, policies_on, row
from tests.unit.api.tools.uploads import WRANGLER, add, items

from nightsafe.identity.credentials import new_token

BY_SCRIPT = f"/client/v4/accounts/{ACCOUNT}/workers/deployments/by-script"


@pytest.fixture
def tagged(own_api: Api) -> tuple[Api, str]:
    """Return an API with a script that was uploaded twice, and the script's tag."""
    own_api.upload("worker", None, File("worker.js", b"1"))
    tag = own_api.upload("worker", None, File("worker.js", b"2")).result["tag"]
    return own_api, tag


def listed(api: Api, tag: str, query: str = "?order=asc") -> Any:
    """Return what `deployments list` reads."""
    return api.send("GET", f"{BY_SCRIPT}/{tag}{query}").result


def roll_back(api: Api, target: str, query: str = "", message: bytes = b"why") -> Answer:
    """Roll back as wrangler's `rollback` does, with a form without metadata."""
    body = form(File("message", message, as_file=False))
    return api.send("PUT", f"{script_at('worker')}?rollback_to={target}{query}", body, [form_type(), WRANGLER])


def deployed(api: Api) -> list[str]:
    """Return the deployed versions."""
    deployments = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"]
    return [version["version_id"] for version in deployments[0]["versions"]]


def test_deployments_are_listed_by_the_uploads_ids(tagged: tuple[Api, str]) -> None:
    """The list is in the requested order, with the newest deployment as `latest`, under the IDs that uploads gave."""
    api, tag = tagged
    new = api.upload("worker", None, File("worker.js", b"3")).result["deployment_id"]

    found = listed(api, tag)

    ids = [deployment["id"] for deployment in found["items"]]
    assert (
        [version["id"] for version in items(api, "worker")]
        == ids[::-1]
        == [deployment["id"] for deployment in listed(api, tag, "")["items"]]
    )
    assert new == ids[-1].replace("-", "")
    assert ids[-1] == found["latest"]["id"]
    assert {"created_on", "author_email", "author_id", "source"} <= set(found["latest"]["metadata"])
    assert "upload" == found["latest"]["annotations"]["workers/triggered_by"]


def test_a_list_has_the_newest_ten_deployments(tagged: tuple[Api, str]) -> None:
    """The list has the newest ten deployments by default, so the last one is the current one."""
    api, tag = tagged
    for number in range(12):
        api.put("worker", values.text(f"S{number}"))

    found = listed(api, tag)["items"]

    assert 10 == len(found)
    assert deployed(api) == [found[-1]["id"]]
    assert 14 == len(listed(api, tag, "?order=asc&per_page=50")["items"])


def test_a_deployment_is_viewed_by_either_id(tagged: tuple[Api, str]) -> None:
    """Either ID shows the bindings, handlers and settings, without any value."""
    api, tag = tagged
    api.put("worker", values.text("S"))
    version = items(api, "worker")[0]["id"]
    deployment = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"][0]["id"]

    for either_id in (version, deployment):
        answer = api.send("GET", f"{BY_SCRIPT}/{tag}/detail/{either_id}")
        assert not values.holds_plant(answer.body)
        assert (version, [{"name": "S", "type": "secret_text"}]) == (
            answer.result["id"],
            answer.result["resources"]["bindings"],
        )
        assert {"usage_model", "compatibility_date"} <= set(answer.result["resources"]["script_runtime"])
        assert [] == answer.result["resources"]["script"]["handlers"]
        assert answer.result["metadata"]["author_email"]


def test_a_rollback_deploys_an_earlier_version(tagged: tuple[Api, str]) -> None:
    """A rollback by the ID of a version or of a deployment makes a deployment with the given message."""
    api, tag = tagged
    first, second = (deployment["id"] for deployment in listed(api, tag)["items"])

    answer = roll_back(api, first)

    assert [first] == deployed(api)
    last = listed(api, tag)["items"][-1]
    assert answer.result["deployment_id"] == last["id"].replace("-", "")
    assert {"workers/message": "why", "workers/triggered_by": "rollback"} == last["annotations"]
    by_deployment = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"][1]
    assert 200 == roll_back(api, by_deployment["id"], message=b"").status
    assert [second] == deployed(api)
    assert 200 == roll_back(api, last["id"]).status
    assert [first] == deployed(api)


def test_a_rollback_over_a_changed_secret_is_refused(tagged: tuple[Api, str]) -> None:
    """The refusal is the same as for a newer wrangler; `force=true` overrides it, and malformed IDs are refused."""
    api, tag = tagged
    first = listed(api, tag)["items"][0]["id"]
    api.put("worker", values.text("S"))

    answer = roll_back(api, first)
    assert (400, [10220]) == answer.refusal
    assert answer.messages[0].endswith("The following secrets have changed: S")
    assert "documentation_url" not in answer.envelope["errors"][0]
    assert 200 == roll_back(api, first, "&force=true").status
    assert (400, [10004]) == roll_back(api, "latest").refusal
    assert (400, [10210]) == roll_back(api, "00000000-0000-4000-8000-000000000000").refusal


def test_a_version_that_is_not_deployed_is_not_listed(tagged: tuple[Api, str]) -> None:
    """A version that is not deployed is not listed but can be viewed."""
    api, tag = tagged
    version = add(api, "worker").result["id"]

    assert version not in [deployment["id"] for deployment in listed(api, tag)["items"]]
    assert version == api.send("GET", f"{BY_SCRIPT}/{tag}/detail/{version}").result["id"]


def test_missing_scripts_and_deployments_get_404(tagged: tuple[Api, str]) -> None:
    """A missing script gets 10007 and a missing deployment 100146; a token for other scripts gets 403."""
    api, tag = tagged
    absent = "00000000-0000-4000-8000-000000000000"
    assert (404, [10007]) == api.send("GET", f"{BY_SCRIPT}/{'0' * 32}").refusal
    assert (404, [100146]) == api.send("GET", f"{BY_SCRIPT}/{tag}/detail/{absent}").refusal
    outcomes = []
    for globs in (("other-*",), ("work*",)):
        secret = new_token()
        keep(api, row(secret, policies_on(*globs)))
        bearer = [(b"authorization", b"Bearer " + secret.encode())]
        outcomes.append(api.send("GET", f"{BY_SCRIPT}/{tag}", b"", bearer, anonymous=True).status)
    assert [403, 200] == outcomes
