"""Deployments as older wranglers know them: listed by the script's tag, viewed, and gone back to by an upload."""

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
    """An API with a script that was uploaded twice, and the script's tag."""
    own_api.upload("worker", None, File("worker.js", b"1"))
    tag = own_api.upload("worker", None, File("worker.js", b"2")).result["tag"]
    return own_api, tag


def listed(api: Api, tag: str, query: str = "?order=asc") -> Any:
    """What `deployments list` reads."""
    return api.send("GET", f"{BY_SCRIPT}/{tag}{query}").result


def roll_back(api: Api, wanted: str, query: str = "", message: bytes = b"why") -> Answer:
    """What `rollback` sends: a form without metadata."""
    body = form(File("message", message, as_file=False))
    return api.send("PUT", f"{script_at('worker')}?rollback_to={wanted}{query}", body, [form_type(), WRANGLER])


def served(api: Api) -> list[str]:
    """The versions that are served."""
    deployments = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"]
    return [one["version_id"] for one in deployments[0]["versions"]]


def test_deployments_go_by_the_id_that_the_upload_gave(tagged: tuple[Api, str]) -> None:
    """Oldest first when asked so, with the newest as `latest`; each with what wrangler prints."""
    api, tag = tagged
    new = api.upload("worker", None, File("worker.js", b"3")).result["deployment_id"]

    found = listed(api, tag)

    ids = [one["id"] for one in found["items"]]
    assert (
        [one["id"] for one in items(api, "worker")]
        == ids[::-1]
        == [one["id"] for one in listed(api, tag, "")["items"]]
    )
    assert new == ids[-1].replace("-", "")
    assert ids[-1] == found["latest"]["id"]
    assert {"created_on", "author_email", "author_id", "source"} <= set(found["latest"]["metadata"])
    assert "upload" == found["latest"]["annotations"]["workers/triggered_by"]


def test_a_list_has_the_newest_ten(tagged: tuple[Api, str]) -> None:
    """The last one is what is served, whatever there is before."""
    api, tag = tagged
    for number in range(12):
        api.put("worker", values.text(f"S{number}"))

    found = listed(api, tag)["items"]

    assert 10 == len(found)
    assert served(api) == [found[-1]["id"]]
    assert 14 == len(listed(api, tag, "?order=asc&per_page=50")["items"])


def test_a_deployment_is_viewed_by_either_id(tagged: tuple[Api, str]) -> None:
    """With its bindings, handlers and settings, and without any value."""
    api, tag = tagged
    api.put("worker", values.text("S"))
    version = items(api, "worker")[0]["id"]
    deployment = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"][0]["id"]

    for wanted in (version, deployment):
        answer = api.send("GET", f"{BY_SCRIPT}/{tag}/detail/{wanted}")
        assert not values.holds_plant(answer.body)
        assert (version, [{"name": "S", "type": "secret_text"}]) == (
            answer.result["id"],
            answer.result["resources"]["bindings"],
        )
        assert {"usage_model", "compatibility_date"} <= set(answer.result["resources"]["script_runtime"])
        assert [] == answer.result["resources"]["script"]["handlers"]
        assert answer.result["metadata"]["author_email"]


def test_what_was_is_served_again(tagged: tuple[Api, str]) -> None:
    """By the id of a version or of a deployment; the answer names the new deployment, the list tells why."""
    api, tag = tagged
    first, second = (one["id"] for one in listed(api, tag)["items"])

    answer = roll_back(api, first)

    assert [first] == served(api)
    last = listed(api, tag)["items"][-1]
    assert answer.result["deployment_id"] == last["id"].replace("-", "")
    assert {"workers/message": "why", "workers/triggered_by": "rollback"} == last["annotations"]
    by_deployment = api.send("GET", f"{script_at('worker')}/deployments").result["deployments"][1]
    assert 200 == roll_back(api, by_deployment["id"], message=b"").status
    assert [second] == served(api)
    assert 200 == roll_back(api, last["id"]).status
    assert [first] == served(api)


def test_going_back_over_a_changed_secret_is_refused(tagged: tuple[Api, str]) -> None:
    """As by the newer path; by force it goes. What is no id, or no version, is said."""
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
    """It can be viewed all the same."""
    api, tag = tagged
    version = add(api, "worker").result["id"]

    assert version not in [one["id"] for one in listed(api, tag)["items"]]
    assert version == api.send("GET", f"{BY_SCRIPT}/{tag}/detail/{version}").result["id"]


def test_what_is_not_there(tagged: tuple[Api, str]) -> None:
    """No such script is 10007, no such deployment 100146; a token for other scripts learns of none."""
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
