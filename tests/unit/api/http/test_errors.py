"""The table of errors, and the envelope of every answer."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.api.http.envelope import Reply, array, failure, in_envelope, success, success_raw
from nightsafe.api.http.errors import INTERNAL, TABLE, as_json, row_for
from nightsafe.errors import Code, NightsafeError, Problem

MESSAGE_GIVEN = {Code.COLLECTION_NOT_FOUND, Code.ITEM_NOT_FOUND, Code.ITEM_TAKEN}
"""Codes for which use cases write the message themselves, with the kind of collection."""

INTERNAL_CODES = {Code.STORE, Code.CANNOT_OPEN} | MESSAGE_GIVEN
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PROBLEMS = st.builds(Problem, st.sampled_from([*Code]), TEXT, st.none() | TEXT)


def test_every_code_has_a_row() -> None:
    """Every code has a row, except internal codes, which become a 500 without details."""
    assert set(Code) - INTERNAL_CODES == set(TABLE)
    assert all(row_for(code) is INTERNAL for code in INTERNAL_CODES)


@pytest.mark.parametrize("code", Code)
def test_each_row_is_valid(code: Code) -> None:
    """Each row has a known status, a number that Cloudflare's scheme allows, and a documentation page."""
    row = row_for(code)

    assert row.status in {400, 401, 403, 404, 405, 408, 410, 413, 429, 500, 503}
    assert row.code >= 1000 or row.code == 971
    if code is Code.SECRETS_CHANGED:  # wrangler would list the link as a secret
        assert "" == row.documentation_url
    else:
        assert re.fullmatch(r"https://developers\.cloudflare\.com/\S+", row.documentation_url)
    path = "{script_name}"  # part of Cloudflare's own message
    assert set(re.findall(r"{[^}]*}", row.message)) <= {"{detail}", "{kind}", path}


@given(PROBLEMS)
def test_a_message_has_no_unfilled_placeholder(problem: Problem) -> None:
    """The detail is inserted unchanged, and placeholders inside it are not filled in."""
    error = as_json(problem)
    row = row_for(problem.code)
    parts = row.message.replace("{kind}", "").split("{detail}")

    assert problem.detail.join(parts) == error["message"]
    assert ({"pointer": problem.pointer} if problem.pointer is not None else None) == error.get("source")


@pytest.mark.parametrize("code", sorted(INTERNAL_CODES))
def test_an_internal_error_has_no_details(code: Code) -> None:
    """The message of an internal error contains no detail of the failure."""
    reply = failure(NightsafeError(code, "planted detail"))

    assert reply.status == 500
    assert b"planted" not in reply.body


@given(st.lists(PROBLEMS, min_size=1, max_size=4))
def test_the_first_problem_sets_the_status(problems: list[Problem]) -> None:
    """The answer has the status of the first problem and lists every problem in order."""
    reply = failure(NightsafeError.of(problems), [(b"allow", b"GET")])
    envelope = json.loads(reply.body)

    assert row_for(problems[0].code).status == reply.status
    assert [row_for(problem.code).code for problem in problems] == [error["code"] for error in envelope["errors"]]
    assert (None, False, []) == (envelope["result"], envelope["success"], envelope["messages"])
    assert (b"allow", b"GET") == reply.headers[-1]


def test_an_error_needs_a_problem() -> None:
    """An error without problems cannot be made."""
    with pytest.raises(IndexError):
        NightsafeError.of([])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    )
)
def test_a_result_gets_the_envelope(result: Any) -> None:
    """A result gets the same envelope whether or not it is encoded already: four members and a line feed."""
    reply = success(result)

    assert reply == success_raw(msgspec.json.encode(result)) == Reply(200, in_envelope(msgspec.json.encode(result)))
    assert [("result", result), ("success", True), ("errors", []), ("messages", [])] == list(
        json.loads(reply.body).items()
    )
    assert reply.body.endswith(b"}\n")
    assert reply.body.count(b"\n") == 1


@given(st.lists(TEXT))
def test_an_array_is_joined(items: list[str]) -> None:
    """JSON fragments are joined into one array."""
    assert items == json.loads(array(msgspec.json.encode(item) for item in items))
