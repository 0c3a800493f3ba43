"""Texts as PostgreSQL stores them."""

from itertools import product

from nightsafe.store.postgres.engine.texts import columns, decode, encode

TEXTS = ["".join(letters) for size in range(6) for letters in product("\0\1\2a", repeat=size)] + ["é\0\U0001f511"]


def test_every_text_is_stored_and_read_back() -> None:
    """A stored text has no U+0000, differs from every other stored text, and is read back as it was."""
    stored = [encode(text) for text in TEXTS]

    assert TEXTS == [decode(data) for data in stored]
    assert len(TEXTS) == len(set(stored))
    assert not any(b"\0" in data for data in stored)


def test_stored_texts_sort_like_the_texts() -> None:
    """Stored texts sort by bytes as the texts do."""
    assert sorted(TEXTS, key=str.encode) == sorted(TEXTS, key=encode)


def test_arrays_have_texts_as_they_are_stored() -> None:
    """The arrays of some rows have each text as it is stored, and other values as they are."""
    [texts, numbers] = columns((text, number) for number, text in enumerate(TEXTS))

    assert [encode(text).decode() for text in TEXTS] == texts
    assert [*range(len(TEXTS))] == numbers
