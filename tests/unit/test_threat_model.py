"""Each claim of the security page has a test that holds it."""

from pathlib import Path

import pytest
from tests.security.tools.claims import PAGE, TESTS, Claim, Holding, claims_of, complaints, holding

SAMPLE = """# Security

Report it. By a form.

## Who

An introduction. Of two sentences.

| with | an attacker can | but cannot |
| --- | --- | --- |
| a **key** | read `a` | write b |
| both | read everything | |

A sentence after
it. `serve` begins another with [a link](docs/api.md#here), see RFC 9180 [there][x].

## How

### Of a part

- One thing. Another
  `thing`, in 2.5 lines.

## Limits to know

- One limit. It is told
  in two sentences.

[x]: https://example.com/
"""


def test_each_claim_has_a_test() -> None:
    """Each row, sentence and limit of the page is the docstring of a test, and no test holds what it does not say."""
    claims, tests = claims_of(PAGE.read_text()), holding(sorted(TESTS.rglob("test_*.py")))

    assert len(claims) > 40
    missing = complaints(claims, tests)
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


def test_what_is_a_claim() -> None:
    """Rows, sentences, and limits as a whole; neither what introduces a section nor markers of Markdown."""
    assert [
        Claim("Who", "With a key, an attacker can read a, but cannot write b."),
        Claim("Who", "With both, an attacker can read everything."),
        Claim("Who", "A sentence after it."),
        Claim("Who", "serve begins another with a link, see RFC 9180 there."),
        Claim("Of a part", "One thing."),
        Claim("Of a part", "Another thing, in 2.5 lines."),
        Claim("Limits to know", "One limit. It is told in two sentences."),
    ] == claims_of(SAMPLE)


def test_which_claim_a_test_holds(tmp_path: Path) -> None:
    """The first paragraph of its docstring, without markers; helpers and nested words do not count."""
    path = tmp_path / "test_it.py"
    path.write_text(
        """
def help_it():
    '''No test.'''


async def test_it():
    '''`serve` never
    reads.

    At all.
    '''
"""
    )

    assert [Holding("test_it.py::test_it", "serve never reads.")] == holding([path])


def test_what_is_missing_is_told() -> None:
    """A claim without a test with the file to add it to, and a test whose claim is gone by its name."""
    kept, new = Claim("How", "It is kept."), Claim("Records and files", "It is new.")

    [missing, gone] = complaints([kept, new], [Holding("a::test_a", "It is kept."), Holding("a::test_b", "It was.")])

    assert "tests/security/machine/test_records_and_files.py" in missing
    assert '"It is new."' in missing
    assert gone.startswith('a::test_b has the claim "It was."')


@pytest.mark.parametrize("word", ["skip", "xfail"])
def test_no_claim_is_passed_over(word: str) -> None:
    """A test that is not run, or may fail, holds nothing."""
    assert [] == [path.name for path in TESTS.rglob("*.py") if f"mark.{word}" in path.read_text()]
