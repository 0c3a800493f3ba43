"""Globs over names of scripts: the lines are two globs and a name."""

from nightsafe.identity.globs import apart, contains, matches

_LONGEST = 80
"""A pattern is refused above some hundred characters; longer ones only take longer."""


def one(data: bytes) -> None:
    """What lies within another never matches what the other does not; what is apart never matches the same name."""
    lines = [line[:_LONGEST] for line in data.decode("utf-8", "replace").split("\n")]
    outer, inner, name = [*lines, "", "", ""][:3]
    is_in, is_out = matches(inner, name), matches(outer, name)
    assert not (contains(outer, inner) and is_in and not is_out), (outer, inner, name)
    assert not (apart(outer, inner) and is_in and is_out), (outer, inner, name)
    assert apart(outer, inner) == apart(inner, outer)
    assert not inner or contains(inner, inner)
