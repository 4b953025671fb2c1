"""The owner's policy, versioned.

Responsible for: reading the one in force, changing single numbers of it. Not responsible for:
obeying it. Invariants: versions only rise, and the highest holds; a policy is always complete.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from central import schema
from central.catalogue import CATALOGUE
from central.database import retried
from central.errors import Refused
from central.service import Central, Work
from sync.policy import Policy


def current(work: Work) -> Policy:
    """The policy in force."""
    table = schema.policies
    text = work.connection.execute(
        select(table.c.policy)
        .where(table.c.merchant == work.merchant)
        .order_by(table.c.version.desc())
        .limit(1)
    ).scalar_one()
    return msgspec.json.decode(text, type=Policy)


def flat(policy: Policy) -> dict[str, object]:
    """Every number of a policy by its dotted name, such as `offline.max_hours.home`."""
    return dict(_leaves(msgspec.to_builtins(policy), ""))


def _leaves(tree: Mapping[str, Any], within: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _leaves(value, f"{within}{name}.")
        else:
            found.append((within + name, value))
    return found


@retried
def change(central: Central, assignments: Sequence[str]) -> Policy | Refused:
    """Set `name=value` pairs; values are JSON, or plain text where that is what is meant."""
    with central.write() as work:
        now = current(work)
        tree = msgspec.to_builtins(now)
        for assignment in assignments:
            name, _, text = assignment.partition("=")
            if name not in flat(now) or name == "version":
                return Refused("unknown_policy", f"there is no policy {name[:60]!r}")
            _set(tree, name.split("."), _value(text))
        tree["version"] = now.version + 1
        try:
            policy = msgspec.convert(tree, Policy)
        except msgspec.ValidationError as error:
            return Refused("bad_policy", str(error))
        work.connection.execute(
            schema.policies.insert().values(
                merchant=work.merchant,
                version=policy.version,
                policy=msgspec.json.encode(policy).decode(),
                created_at=work.now,
            )
        )
        work.put(CATALOGUE, "policy", "")
    return policy


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _set(tree: dict[str, Any], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        tree = tree[name]
    tree[path[-1]] = value
