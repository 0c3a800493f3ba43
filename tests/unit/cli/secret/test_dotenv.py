"""Parsing of `.env` files as wrangler parses them, with line numbers of odd lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.cli.secret.sources.dotenv import parse_dotenv


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\rC=3\n", {"A": "1", "B": "2", "C": "3"}),
        ("  export  A = 1  # end", {"A": "1"}),
        ("A: 1", {"A": "1"}),
        ("A:1", {}),
        ("A=", {"A": ""}),
        ("A=\nB=1", {"A": "", "B": "1"}),
        ("A=b#c", {"A": "b"}),
        ("A='b#c'", {"A": "b#c"}),
        ('A="b\\nc\\r"', {"A": "b\nc\r"}),
        ("A='b\\nc'", {"A": "b\\nc"}),
        ('A="b\nc\n"', {"A": "b\nc\n"}),
        ("A=`b\"'c`", {"A": "b\"'c"}),
        ("A='it\\'s'", {"A": "it\\'s"}),
        ("A=\u00a0b\u2003", {"A": "b"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A.b-c_1=1", {"A.b-c_1": "1"}),
        ("é=1", {}),
        ("A=b=c", {"A": "b=c"}),
        ('A="open\nB=1', {"A": '"open', "B": "1"}),
    ],
)
def test_values_are_parsed_by_dotenvs_rules(content: str, values: dict[str, str]) -> None:
    """Values are parsed by dotenv's rules."""
    assert values == {entry.name: entry.text for entry in parse_dotenv(content).assignments}


def test_odd_lines_are_reported_by_number() -> None:
    """Skipped lines and unclosed quotes are reported by line number."""
    found = parse_dotenv('# comment\n\nA=1\nwhat\nB=\'x\nC="a\nb"\nalso this\n')

    assert [("A", 3, False), ("B", 5, True), ("C", 6, False)] == [
        (entry.name, entry.line, entry.open_quote) for entry in found.assignments
    ]
    assert [4, 8] == found.skipped


def test_an_entry_does_not_show_its_value() -> None:
    """The `repr` of an entry does not show its value."""
    assert "canary" not in repr(parse_dotenv("A=canary"))


@given(st.text(max_size=200) | st.text("AB=:'\"`\\#\n \t", max_size=200))
def test_any_text_is_parsed(content: str) -> None:
    """Every text is parsed; names are valid names, and line numbers are within the text."""
    found = parse_dotenv(content)

    assert all(entry.name.isascii() and entry.name for entry in found.assignments)
    lines = content.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(1 <= line <= lines for line in (*found.skipped, *(entry.line for entry in found.assignments)))


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True),
        st.text(st.characters(exclude_characters="'\\\r", exclude_categories=["Cs"])),
    )
)
def test_single_quotes_keep_everything(values: dict[str, str]) -> None:
    """Text in single quotes is unchanged, over several lines too."""
    content = "\n".join(f"{name}='{held}'" for name, held in values.items())

    assert values == {entry.name: entry.text for entry in parse_dotenv(content).assignments}
