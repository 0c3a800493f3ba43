"""Holders and entries as dictionaries would keep them: what the store is compared with."""

import json
from collections import Counter

from msgspec.structs import replace

from nightsafe.errors import Code
from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind, Put

Place = tuple[str, str]
Where = tuple[str, Kind, str]
Problems = list[tuple[Code, str]]


class HolderModel:
    """What there is: holders by account, kind and name, their entries by slot and name, scripts in namespaces.

    A script outside of every namespace is put among the holders when it is uploaded.
    """

    def __init__(self) -> None:
        self.holders: dict[Where, tuple[Holder, dict[Place, Entry]]] = {}
        self.inside: set[tuple[str, str, str]] = set()

    def count(self, account_id: str, namespace: str) -> int:
        """How many scripts a namespace holds."""
        return sum(one[:2] == (account_id, namespace) for one in self.inside)

    def entries(self, where: Where) -> list[Entry]:
        """Every entry of a holder, in order."""
        entries = self.holders[where][1]
        return [entries[place] for place in sorted(entries)]

    def hold(self, edit: HolderEdit, at: int) -> tuple[Problems, bool]:
        """Carry out an edit, unless there are problems; also tells whether it altered anything."""
        where = (edit.account_id, edit.kind, edit.name)
        problems = self._missing(edit, where)
        if problems:
            return problems, False
        if edit.remove:
            del self.holders[where]
            return [], True
        holder, entries = self.holders.get(where) or (edit.create, {})
        assert holder is not None
        after, problems = _put(edit, entries)
        problems = problems or self._too_many(edit, len(after) - len(entries))
        if problems:
            return problems, False
        body = {**json.loads(holder.body), **json.loads(edit.body or b"{}")}
        body = {name: value for name, value in body.items() if value is not None}
        altered = bool(edit.create or edit.put or after != entries or body != json.loads(holder.body))
        new = replace(holder, body=json.dumps(body).encode())
        self.holders[where] = (replace(new, modified_on=at) if altered and not edit.create else new, after)
        return [], altered

    def _missing(self, edit: HolderEdit, where: Where) -> Problems:
        """What the holder itself has against the edit."""
        there = where in self.holders
        if edit.create is None:
            inside = self.count(edit.account_id, edit.name)
            if not there:
                return [(Code.HOLDER_NOT_FOUND, edit.name)]
            full = edit.remove and edit.kind is Kind.DISPATCH_NAMESPACE and inside > 0
            return [(Code.NAMESPACE_NOT_EMPTY, str(inside))] if full else []
        alike = [one for one in self.holders if one[:2] == where[:2]]
        if there:
            return [(Code.HOLDER_TAKEN, edit.name)]
        return [(Code.TOO_MANY_HOLDERS, str(edit.max_holders))] if 0 < edit.max_holders <= len(alike) else []

    def _too_many(self, edit: HolderEdit, more: int) -> Problems:
        """What the limit on entries has against so many more."""
        alike = [entries for one, (_, entries) in self.holders.items() if one[:2] == (edit.account_id, edit.kind)]
        count = sum(len(entries) for entries in alike) + more
        return [(Code.TOO_MANY_ENTRIES, str(edit.max_entries))] if more > 0 and 0 < edit.max_entries < count else []


def _put(edit: HolderEdit, entries: dict[Place, Entry]) -> tuple[dict[Place, Entry], Problems]:
    """Entries one after the other, then the drops of what was not put."""
    after, problems = dict(entries), []
    for new in edit.put:
        had = after.get((new.slot, new.name))
        if edit.over is Put.NEW and had is not None:
            problems.append((Code.ENTRY_TAKEN, new.name))
        if edit.over is Put.PRESENT and (had is None or had.id != new.id):
            problems.append((Code.ENTRY_NOT_FOUND, new.name))
        after[new.slot, new.name] = new if had is None else _over(new, had, amend=edit.amend)
    for place in edit.drop:
        if place not in entries and edit.require_drop:
            problems.append((Code.ENTRY_NOT_FOUND, place[1]))
        if place not in {(new.slot, new.name) for new in edit.put}:
            after.pop(place, None)
    ids = Counter(entry.id for entry in after.values())
    problems = problems or [(Code.ENTRY_TAKEN, new.name) for new in edit.put if ids[new.id] > 1]
    return after, list(dict.fromkeys(problems))


def _over(new: Entry, had: Entry, *, amend: bool) -> Entry:
    """One entry in the place of another."""
    kept = (had.sealed, had.key_id) if amend and new.sealed is None else (new.sealed, new.key_id)
    shown = {**(json.loads(had.shown) if amend else {}), **json.loads(new.shown)}
    told = json.dumps(shown, separators=(",", ":")).encode()
    return replace(new, created_on=had.created_on, shown=told, sealed=kept[0], key_id=kept[1])
