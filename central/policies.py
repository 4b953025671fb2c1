"""The owner's policy, versioned, with exceptions for outlets and terminals.

Responsible for: reading the one in force, changing single numbers of it, showing what holds where.
Not responsible for: obeying it. Invariants: versions only rise, and the highest holds; a policy is
always complete; the most specific word wins.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select

from central import catalogue, hello, schema
from central.catalogue import CATALOGUE
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.policy import Policy, excepted, outlet_scope, resolved, terminal_scope

INHERIT: Final = "inherit"
"""The value that takes an exception away."""

MERCHANT: Final = ""
"""The scope of the numbers that hold everywhere else."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One number as it holds somewhere, and whose word it is: `merchant`, `outlet:3` or so."""

    name: str
    value: object
    said_by: str


# Made once: each upload and each page of the catalogue asks for it.
_CURRENT: Final = (
    select(schema.policies.c.policy)
    .where(schema.policies.c.merchant == bindparam("merchant"))
    .order_by(schema.policies.c.version.desc())
    .limit(1)
)


def current(work: Work) -> Policy:
    """The policy in force."""
    text = work.connection.execute(_CURRENT, {"merchant": work.merchant}).scalar_one()
    return msgspec.json.decode(text, type=Policy)


def flat(policy: Policy) -> dict[str, object]:
    """Every number of a policy by its dotted name, such as `offline.max_hours.home`."""
    tree = msgspec.to_builtins(policy)
    del tree["exceptions"]
    return dict(_leaves(tree, ""))


def _leaves(tree: Mapping[str, Any], within: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{within}{name}.")
        else:
            found.append((within + name, value))
    return found


def scope_of(work: Work, outlet: int | None, posid: str | None) -> str | Refused:
    """The scope that a person named: an outlet's, a terminal's, else the merchant's (empty)."""
    if posid is not None:
        found = hello.find(work, posid)
        if found is None:
            return Refused("unknown_terminal", f"no terminal is called {posid[:40]!r}")
        return terminal_scope(posid)
    if outlet is None:
        return MERCHANT
    if outlet not in {one.outlet for one in catalogue.outlets(work)}:
        return Refused("unknown_outlet", f"there is no outlet {outlet}")
    return outlet_scope(outlet)


def shown(work: Work, outlet: int | None, posid: str | None) -> list[Shown] | Refused:
    """What holds there, number by number, and which scope says so."""
    scope = scope_of(work, outlet, posid)
    if isinstance(scope, Refused):
        return scope
    policy = current(work)
    terminal = None if posid is None else hello.find(work, posid)
    place = outlet if terminal is None else terminal.outlet
    holds = resolved(policy, outlet=place or 0, posid=posid or "")
    scopes = [] if place is None else [outlet_scope(place)]
    scopes += [] if posid is None else [terminal_scope(posid)]
    return [
        Shown(name, value, _said_by(policy, name, scopes)) for name, value in flat(holds).items()
    ]


def _said_by(policy: Policy, name: str, scopes: Sequence[str]) -> str:
    said = [scope for scope in scopes if name in policy.exceptions.get(scope, {})]
    return said[-1] if said else "merchant"


@retried
def change(
    central: Central,
    assignments: Sequence[str],
    *,
    outlet: int | None = None,
    posid: str | None = None,
) -> Policy | Refused:
    """Set `name=value` pairs; values are JSON, or plain text where that is what is meant.

    For an outlet or a terminal they are exceptions; `inherit` takes one away.
    """
    with central.write() as work:
        scope = scope_of(work, outlet, posid)
        if isinstance(scope, Refused):
            return scope
        policy = current(work)
        for assignment in assignments:
            name, _, text = assignment.partition("=")
            if name not in flat(policy) or name == "version":
                return Refused("unknown_policy", f"there is no policy {name[:60]!r}")
            value = _value(text)
            changed = _changed(policy, scope, name, value)
            if changed is None:
                return Refused("bad_policy", f"{name} cannot be {text[:60]!r}")
            policy = changed
        policy = msgspec.structs.replace(policy, version=policy.version + 1)
        _put(work, policy)
    return policy


def repeat(work: Work, after: int) -> None:
    """Say the policy in force again, under a version beyond its own and `after`."""
    policy = current(work)
    _put(work, msgspec.structs.replace(policy, version=max(policy.version, after) + 1))


def _put(work: Work, policy: Policy) -> None:
    work.connection.execute(
        schema.policies.insert().values(
            merchant=work.merchant,
            version=policy.version,
            policy=msgspec.json.encode(policy).decode(),
            created_at=work.now,
        )
    )
    work.put(CATALOGUE, "policy", "")


def _changed(policy: Policy, scope: str, name: str, value: object) -> Policy | None:
    if value is not None and not isinstance(value, int | str):
        return None
    if not scope:
        return excepted(policy, name, value)
    numbers = dict(policy.exceptions.get(scope, {}))
    if value == INHERIT:
        numbers.pop(name, None)
    elif excepted(policy, name, value) is None:
        return None
    else:
        numbers[name] = value
    exceptions = {**policy.exceptions, scope: numbers}
    kept = {scope: numbers for scope, numbers in exceptions.items() if numbers}
    return msgspec.structs.replace(policy, exceptions=kept)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
