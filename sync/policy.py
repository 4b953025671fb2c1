"""The policy as it travels: the same type that the rules use, named here for the messages."""

from vouchers.policy import (
    DEFAULT,
    ByPlace,
    Claim,
    Cli,
    Guess,
    Limit,
    Lookup,
    Offline,
    Part,
    Policy,
    Receipt,
    Reversal,
    excepted,
    outlet_scope,
    resolved,
    terminal_scope,
)

__all__ = [
    "DEFAULT",
    "ByPlace",
    "Claim",
    "Cli",
    "Guess",
    "Limit",
    "Lookup",
    "Offline",
    "Part",
    "Policy",
    "Receipt",
    "Reversal",
    "excepted",
    "outlet_scope",
    "resolved",
    "terminal_scope",
]
