"""Reads the filters of the audit log, version 2: each parameter, and the same name with `.not`.

Several values of a filter are alternatives. A filter with `.not` leaves out the entries that have one of its values;
an entry without this fact stays. All filters of a query must agree.
"""

from collections.abc import Callable, Mapping
from typing import Final

from nightsafe.api.audit.query import check_choice
from nightsafe.audit.facts import FACTS
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.audit.logs import Condition, LogEntry
from nightsafe.store.identities import Account

_NOT: Final = ".not"
_CHOICES: Final = {
    "action_result": ("success", "failure"),
    "action_type": ("create", "delete", "view", "update"),
    "actor_context": ("api", "api_key", "api_token", "dash", "oauth", "origin_ca_key"),
    "actor_type": ("account", "cloudflare_admin", "delegated_service", "system", "user"),
    "resource_scope": ("accounts", "user", "zones", "memberships"),
}
_FOLDED: Final = frozenset({"actor_email", "raw_method", "product_category"})
"""The filters that ignore the case of letters."""

CATEGORIES: Final = {
    "account": ("Account", {"accounts": "Accounts", "api_tokens": "API tokens", "audit_logs": "Audit logs",
                            "members": "Members", "users": "Users"}),
    "developer_platform": ("Developer platform", {"pages": "Pages", "secrets_store": "Secrets Store",
                                                  "workers": "Workers",
                                                  "workers_for_platforms": "Workers for Platforms"}),
    "keys": ("Keys", {"nightsafe_keys": "Key rings"}),
}  # fmt: skip
"""The product categories: a label, and the products with their labels."""

_FACTS: Final = tuple(FACTS.keys() - {"description", "raw_user_agent"})
_IDS: Final = ("id", "audit_log_id")
_ABSENT: Final = ("raw_cf_ray_id", "zone_id", "zone_name")
"""Facts that no entry has: requests here have no Ray ID, and accounts have no zones."""

_ENTRY_FILTERS: Final = ("account_name", *_IDS, *_FACTS, *_ABSENT)
FILTERS: Final = frozenset({"product_category", *_ENTRY_FILTERS, *(name + _NOT for name in _ENTRY_FILTERS)})

_Known = Callable[[LogEntry], str]
"""Returns the fact of an entry that a filter is about; "" if there is none."""


def condition_of(lists: Mapping[str, list[str]], account: Account) -> Condition:
    """Return the condition that an entry must meet.

    Args:
        lists: the query's parameters; others than filters are ignored.
        account: the account of the log.

    Raises:
        NightsafeError: INVALID, for a value that no entry can have.
    """
    tests: list[tuple[_Known, frozenset[str], bool]] = []
    for parameter, values in _with_products(lists).items():
        name, negated = parameter.removesuffix(_NOT), parameter.endswith(_NOT)
        if parameter in FILTERS:
            _check(name, parameter, values)
            tests.append((_getter(name, account), frozenset(map(_folding(name), values)), negated))
    if not tests:
        return lambda _: True

    def is_wanted(entry: LogEntry) -> bool:
        """Return whether an entry meets every filter."""
        return all((get(entry) in values) is not negated for get, values, negated in tests)

    return is_wanted


def _with_products(lists: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    """Return parameters with each product category replaced by its products."""
    categories = lists.get("product_category")
    if categories is None:
        return lists
    products = list(lists.get("resource_product", ()))
    for category in categories:
        check_choice("product_category", [category.lower()], CATEGORIES)
        products += CATEGORIES[category.lower()][1]
    return {**{name: lists[name] for name in lists if name != "product_category"}, "resource_product": products}


def _check(name: str, parameter: str, values: list[str]) -> None:
    """Refuse values that no entry can have."""
    if name in _CHOICES:
        check_choice(parameter, values, _CHOICES[name])
    if name == "raw_status_code" and not all(value.isascii() and value.isdigit() for value in values):
        raise NightsafeError(Code.INVALID, f"'{parameter}' must be a whole number")


def _folding(name: str) -> Callable[[str], str]:
    """Return how a filter's values are compared: with or without the case of letters."""
    return str.casefold if name in _FOLDED else str


def _getter(name: str, account: Account) -> _Known:
    """Return how to get the fact that a filter is about."""
    if name in _ABSENT:
        return lambda _: ""
    if name in _IDS:
        return lambda entry: entry.id
    if name == "account_name":
        return lambda _: account.name
    fact, fold = FACTS[name], _folding(name)
    return lambda entry: fold(str(fact(entry.event) or ""))
