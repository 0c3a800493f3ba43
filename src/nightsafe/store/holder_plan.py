"""What an edit of a holder comes to, worked out without a database: both engines carry out the same plan."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.holding import Entry, Holder, HolderEdit, Kind, Put
from nightsafe.store.merging import merged, settled
from nightsafe.store.model import Settings

Place = tuple[str, str]
"""An entry's slot and name."""


class Counts(NamedTuple):
    """What the account has before the edit, of the kind that the edit is of; 0 where there is no limit to hold.

    Attributes:
        holders: how many holders.
        entries: how many entries in all of them.
    """

    holders: int = 0
    entries: int = 0


class HolderPlan(NamedTuple):
    """The rows to write.

    Attributes:
        holder: the holder as it is afterwards.
        entries: every entry that it has afterwards, by slot and name.
        retire: the entries that go, among them those that one of `put` replaces.
        put: the entries that come, once those of `retire` are gone.
        altered: whether there is anything to write.
    """

    holder: Holder
    entries: tuple[Entry, ...]
    retire: tuple[Entry, ...]
    put: tuple[Entry, ...]
    altered: bool


def plan_hold(edit: HolderEdit, holder: Holder | None, held: Iterable[Entry], counts: Counts, at: int) -> HolderPlan:
    """Work out an edit that does not remove the holder.

    An entry both in `drop` and in `put` is put. Of two in one place the last one stays, as if they had been put one
    after the other: so `Put.NEW` refuses the second.

    Args:
        edit: what is asked for.
        holder: the holder as it is, None when it is absent.
        held: all its entries.
        counts: what there is of the edit's kind.
        at: when, in microseconds.

    Raises:
        NightsafeError: as `Store.commit` promises of holders and entries, except NAMESPACE_NOT_EMPTY and STORE.
    """
    found = _found(edit, holder, counts)
    before = {(entry.slot, entry.name): entry for entry in held}
    after = _after(edit, before)
    _refuse_more(Code.TOO_MANY_ENTRIES, len(after) - len(before), counts.entries, edit.max_entries)
    body = None if edit.body is None else settled(found.body, Settings(edit.body, merge=True, over=edit.body_was))
    put = tuple(after[place] for place in dict.fromkeys((entry.slot, entry.name) for entry in edit.put))
    retire = tuple(entry for place, entry in before.items() if after.get(place) is not entry)
    altered = bool(edit.create or put or retire) or body is not None
    modified_on = at if altered and edit.create is None else found.modified_on
    entries = tuple(after[place] for place in sorted(after))
    now = replace(found, body=found.body if body is None else body, modified_on=modified_on)
    return HolderPlan(now, entries, retire, put, altered)


def refuse_senseless(edit: HolderEdit) -> None:
    """Refuse an edit that no state could allow.

    Raises:
        NightsafeError: INVALID.
    """
    if edit.kind is Kind.SCRIPT and (edit.create is not None or edit.remove):
        raise NightsafeError(Code.INVALID, "a script is made by an upload and removed as a script, not as a holder")
    new = edit.create
    if new is not None and (new.account_id, new.kind, new.name) != (edit.account_id, edit.kind, edit.name):
        raise NightsafeError(Code.INVALID, "the holder to make is not the one that the edit names")


def _found(edit: HolderEdit, holder: Holder | None, counts: Counts) -> Holder:
    """The holder to work on: the one there is, or the one to make."""
    if edit.create is None:
        if holder is None:
            raise NightsafeError(Code.HOLDER_NOT_FOUND, edit.name)
        return holder
    if holder is not None:
        raise NightsafeError(Code.HOLDER_TAKEN, edit.name)
    _refuse_more(Code.TOO_MANY_HOLDERS, 1, counts.holders, edit.max_holders)
    return edit.create


def _refuse_more(code: Code, more: int, count: int, most: int) -> None:
    """Refuse to go past a limit. What is past it already may stay, or become less."""
    if most and more > 0 and count + more > most:
        raise NightsafeError(code, str(most))


def _after(edit: HolderEdit, before: Mapping[Place, Entry]) -> dict[Place, Entry]:
    """Every entry that there is afterwards; refuses what `over` and `require_drop` forbid."""
    problems = []
    drop = frozenset(edit.drop)
    after = {place: entry for place, entry in before.items() if place not in drop}
    for new in edit.put:
        place = (new.slot, new.name)
        had = after.get(place) or before.get(place)
        problem = _problem(edit.over, new, had)
        if problem is not None:
            problems.append(Problem(problem, new.name))
        after[place] = _put_over(new, had, amend=edit.amend)
    if edit.require_drop:
        problems += [Problem(Code.ENTRY_NOT_FOUND, name) for slot, name in edit.drop if (slot, name) not in before]
    _refuse(problems or _same_ids(edit, after))
    return after


def _problem(over: Put, new: Entry, had: Entry | None) -> Code | None:
    """What `over` has against putting an entry where there is another, or none."""
    if over is Put.NEW and had is not None:
        return Code.ENTRY_TAKEN
    if over is Put.PRESENT and (had is None or had.id != new.id):
        return Code.ENTRY_NOT_FOUND
    return None


def _put_over(new: Entry, had: Entry | None, *, amend: bool) -> Entry:
    """An entry as it is once it has been put where there was another."""
    if had is None:
        return new
    put = replace(new, created_on=had.created_on)
    if not amend:
        return put
    put = replace(put, shown=merged(had.shown, new.shown))
    return put if new.sealed is not None else replace(put, sealed=had.sealed, key_id=had.key_id)


def _same_ids(edit: HolderEdit, after: Mapping[Place, Entry]) -> list[Problem]:
    """A problem for each entry put that would have the id of another: an id belongs to one."""
    ids = Counter(entry.id for entry in after.values())
    return [Problem(Code.ENTRY_TAKEN, new.name) for new in edit.put if ids[new.id] > 1]


def _refuse(problems: Iterable[Problem]) -> None:
    """Raise when there is at least one, each told once, in their order."""
    each = list(dict.fromkeys(problems))
    if each:
        raise NightsafeError.of(each)
