"""The numbers that an owner sets and every terminal obeys.

Responsible for: their names, units, bounds and defaults (design, section 7, "Policy"). Not
responsible for: applying them; the rules and the counter do. Invariants: a policy as it stands
here is complete; central sends whole policies, versioned, and the higher version wins.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from vouchers.rules import OfflineLimits

Limit = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A group of settings; unknown names of a newer central are read past."""


class ByPlace(Part, frozen=True, kw_only=True):
    """A limit that is wider at a voucher's home outlet than elsewhere."""

    home: Limit
    elsewhere: Limit


class Offline(Part, frozen=True, kw_only=True):
    """What one terminal may do between two contacts with central."""

    max_redemptions: ByPlace = ByPlace(home=5_000, elsewhere=50)
    max_value_fen: Limit = 2_000_000
    max_hours: ByPlace = ByPlace(home=72, elsewhere=24)
    max_replica_age_hours: Limit = 72
    override_hours: Limit = 24
    unhomed_shares: Limit = 1
    foreign_shares_row: Limit = 1
    foreign_shares_qr: Limit = 1
    tills: Literal["shared_risk", "primary_only"] = "shared_risk"


class Claim(Part, frozen=True, kw_only=True):
    """Asking central before a redemption."""

    budget_ms: Limit = 400
    hold_minutes: Limit = 15


class Lookup(Part, frozen=True, kw_only=True):
    """Asking central for a voucher that the replica does not know."""

    budget_ms: Limit = 400


class Reversal(Part, frozen=True, kw_only=True):
    """How long a clerk may undo without a supervisor (decision 11)."""

    clerk_minutes: Limit = 10


class Guess(Part, frozen=True, kw_only=True):
    """Misses before a lock (decision 13)."""

    per_code: Limit = 5
    lock_minutes: Limit = 15
    per_terminal: Limit = 20
    window_minutes: Limit = 10


Scope = Literal["merchant", "outlet"]
"""Whose vouchers a terminal holds: those of every outlet, or those that are good at its own."""


class Replica(Part, frozen=True, kw_only=True):
    """What of central's vouchers a terminal holds (design, section 6)."""

    scope: Scope = "merchant"


class Receipt(Part, frozen=True, kw_only=True):
    """What stands on a slip."""

    successor: Literal["always", "offline", "never"] = "always"


class Cli(Part, frozen=True, kw_only=True):
    """What the command line may do."""

    redeem: Literal["allow", "deny"] = "allow"


class Policy(Part, frozen=True, kw_only=True):
    """All of it. `version` grows with every change; `slip_text` is the merchant's own line.

    `exceptions` are single numbers of an outlet (`outlet:3`) or a terminal (`terminal:T1`), by
    their dotted names; `resolved` applies those of one terminal.
    """

    version: Annotated[int, Meta(ge=0)] = 0
    offline: Offline = Offline()
    claim: Claim = Claim()
    lookup: Lookup = Lookup()
    reversal: Reversal = Reversal()
    guess: Guess = Guess()
    replica: Replica = Replica()
    receipt: Receipt = Receipt()
    cli: Cli = Cli()
    slip_text: str | None = None
    exceptions: dict[str, dict[str, int | str | None]] = {}


DEFAULT: Final = Policy()


def outlet_scope(outlet: int) -> str:
    """The name of an outlet's exceptions."""
    return f"outlet:{outlet}"


def terminal_scope(posid: str) -> str:
    """The name of a terminal's exceptions."""
    return f"terminal:{posid}"


def resolved(policy: Policy, *, outlet: int, posid: str) -> Policy:
    """What holds for one terminal: its own number, else its outlet's, else the merchant's.

    An exception that this program cannot apply is passed over, alone.
    """
    found = msgspec.structs.replace(policy, exceptions={})
    for scope in (outlet_scope(outlet), terminal_scope(posid)):
        for name, value in policy.exceptions.get(scope, {}).items():
            found = excepted(found, name, value) or found
    return found


def excepted(policy: Policy, name: str, value: int | str | None) -> Policy | None:
    """The policy with one number changed; None where there is no such number or value."""
    tree = msgspec.to_builtins(policy)
    *path, last = name.split(".")
    within = tree
    for part in path:
        within = within.get(part) if isinstance(within, dict) else None
    if not isinstance(within, dict) or last not in within or isinstance(within[last], dict):
        return None
    within[last] = value
    try:
        return msgspec.convert(tree, Policy)
    except msgspec.ValidationError:
        return None


def offline_limits(policy: Policy) -> OfflineLimits:
    """The part of a policy that `rules` decides by."""
    offline = policy.offline
    return OfflineLimits(
        max_redemptions_home=offline.max_redemptions.home,
        max_redemptions_away=offline.max_redemptions.elsewhere,
        max_value_fen=offline.max_value_fen,
        max_hours_home=offline.max_hours.home,
        max_hours_away=offline.max_hours.elsewhere,
        max_replica_age_hours=offline.max_replica_age_hours,
        unhomed_shares=offline.unhomed_shares,
        foreign_shares_row=offline.foreign_shares_row,
        foreign_shares_qr=offline.foreign_shares_qr,
    )
