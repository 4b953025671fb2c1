"""The product broken on purpose, one line at a time: the auditor must notice each.

Responsible for: the mutations, patched into the running product, with what each of them breaks.
Not responsible for: proving that they are caught (`test_mutations`). A mutation replaces one
function of the product by one that forgets something; nothing in the simulation knows of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from central import claims, deciding, forks, hello, ledger, restoring, sealing
from central.service import Work
from sync import sender
from sync.downlink import Downlink
from terminal import redeem as redeeming
from terminal import reverse as reversing
from terminal import startup
from terminal.journal import Journal
from terminal.parts import Parts
from terminal.replica_writer import ReplicaWriter
from vouchers import booking, codes, rules, standing
from vouchers.standing import OwnUse

Mutation = Callable[[pytest.MonkeyPatch], None]
MUTATIONS: Final[dict[str, Mutation]] = {}


def changed(value: Any, **values: Any) -> Any:
    """A copy of a frozen value with other fields."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **values)
    return replace(value, **values)


def mutation(make: Mutation) -> Mutation:
    """Enter a mutation under its name."""
    MUTATIONS[make.__name__] = make
    return make


# --- the rules --------------------------------------------------------------------------------


@mutation
def shares_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """`decide` believes that one share more is left than there is."""
    left = standing.left
    patch.setattr(
        standing, "left", lambda shares, now, generation: left(shares, now, generation) + 1
    )


@mutation
def foreign_allowance_is_per_redemption(patch: pytest.MonkeyPatch) -> None:
    """What this terminal gave alone before is not taken off its allowance."""
    right = rules._right

    def forgetful(case: rules.Case) -> int | None:
        return right(changed(case, standing=changed(case.standing, own=0)))

    patch.setattr(rules, "_right", forgetful)


@mutation
def caps_count_nothing(patch: pytest.MonkeyPatch) -> None:
    """What was given alone since the last contact is not taken off the owner's caps."""
    posture = Parts.posture

    def fresh(parts: Parts) -> Any:
        return changed(posture(parts), redemptions_home=0, redemptions_away=0, value_fen=0)

    patch.setattr(Parts, "posture", fresh)


@mutation
def generation_counts_units(patch: pytest.MonkeyPatch) -> None:
    """The next code is taken by the units used, not by the generation: forks make two codes."""
    decide, units = rules.decide, [0]

    def counting(case: rules.Case) -> Any:
        decided = decide(case)
        units[0] = getattr(decided, "shares", 1)
        return decided

    def by_units(record: Any, generation: int) -> str:
        return codes.derive(record.secret, generation + units[0])

    patch.setattr(rules, "decide", counting)
    patch.setattr(redeeming, "next_code", by_units)


# --- the terminal -----------------------------------------------------------------------------


@mutation
def overlay_is_forgotten_once_reflected(patch: pytest.MonkeyPatch) -> None:
    """As soon as central's state names any entry of ours, none of ours counts any more."""
    own_uses = Parts.own_uses

    def uses(parts: Parts, voucher: str, epoch: int, seq: int) -> list[OwnUse]:
        return [] if seq else own_uses(parts, voucher, epoch, seq)

    patch.setattr(Parts, "own_uses", uses)


@mutation
def overlay_counts_twice(patch: pytest.MonkeyPatch) -> None:
    """Own entries count although central's state includes them already."""
    own_uses = Parts.own_uses
    patch.setattr(Parts, "own_uses", lambda parts, voucher, *_: own_uses(parts, voucher, 0, 0))


@mutation
def request_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """The same request again is a new redemption."""
    patch.setattr(Journal, "find_request", lambda *_: None)


@mutation
def reversal_is_repeated(patch: pytest.MonkeyPatch) -> None:
    """A redemption can be undone again and again."""
    find = reversing._find

    def forgetful(parts: Parts, serial: str) -> Any:
        found = find(parts, serial)
        return None if found is None else changed(found, undone=None)

    patch.setattr(reversing, "_find", forgetful)


@mutation
def fence_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """A terminal that was told to stop goes on."""
    patch.setattr(Parts, "fence", lambda _: None)


@mutation
def witness_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A journal that was put back opens as if nothing had happened."""
    patch.setattr(startup, "_compare_witness", lambda _: None)


# --- between them -----------------------------------------------------------------------------


@mutation
def cursor_is_stored_before_the_rows(patch: pytest.MonkeyPatch) -> None:
    """A crash between the two skips a page for good."""
    apply = ReplicaWriter.apply

    def early(writer: ReplicaWriter, bucket: int, page: Any) -> bool:
        with writer._storing() as connection:
            before = connection.execute("SELECT cursor FROM cursor WHERE bucket = ?", (bucket,))
            if (before.fetchone() or ("0",))[0] != page.from_:
                return False
            connection.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (bucket, page.cursor))
            connection.execute("SELECT 1")  # the power may fail here
        return apply(writer, bucket, changed(page, from_=page.cursor))

    patch.setattr(ReplicaWriter, "apply", early)


@mutation
def only_counts_are_compared(patch: pytest.MonkeyPatch) -> None:
    """Neither side compares hashes: the histories of two disks become one."""
    patch.setattr(sender, "_compare", lambda *_: None)
    patch.setattr(forks, "first_difference", lambda *_: None)
    patch.setattr(hello, "_compare", lambda *_: None)


@mutation
def verdicts_are_not_pulled(patch: pytest.MonkeyPatch) -> None:
    """A verdict that changes later never reaches the counter."""
    patch.setattr(Downlink, "_pull_verdicts", lambda _: None)


# --- central ----------------------------------------------------------------------------------


@mutation
def claims_are_not_consumed(patch: pytest.MonkeyPatch) -> None:
    """A claim goes on holding shares after its entry has come."""
    patch.setattr(claims, "USED", claims.GRANTED)


@mutation
def claims_do_not_hold(patch: pytest.MonkeyPatch) -> None:
    """A granted claim holds nothing: two counters are granted the same shares."""
    patch.setattr(claims, "held_shares", lambda *_: 0)


@mutation
def excess_falls_on_the_first(patch: pytest.MonkeyPatch) -> None:
    """The entry that came first bears the excess, not the one that crossed the limit."""
    rank = booking.rank

    def backwards(use: booking.Use, facts: booking.VoucherFacts) -> tuple[int, int]:
        place, arrival = rank(use, facts)
        return place, -arrival

    patch.setattr(booking, "rank", backwards)


@mutation
def others_are_not_named(patch: pytest.MonkeyPatch) -> None:
    """An excess is found, but not with whom it collided."""
    redemption = booking._redemption

    def alone(facts: Any, use: Any, used: int, _serials: Any) -> Any:
        return redemption(facts, use, used, ())

    patch.setattr(booking, "_redemption", alone)


@mutation
def reversals_do_not_give_back(patch: pytest.MonkeyPatch) -> None:
    """used = sum of what was redeemed, whatever was undone."""
    judge = booking._judge_reversals

    def kept(valid: Any, redemptions: Any) -> Any:
        _, judged = judge(valid, redemptions)
        return set(), judged

    patch.setattr(booking, "_judge_reversals", kept)


@mutation
def refunded_shares_are_free(patch: pytest.MonkeyPatch) -> None:
    """What was redeemed after a paid refund is booked as if nothing had been refunded."""
    judge = booking._judge_redemptions
    patch.setattr(
        booking,
        "_judge_redemptions",
        lambda facts, standing_: judge(changed(facts, refunded_shares=0), standing_),
    )


@mutation
def former_last4_still_open(patch: pytest.MonkeyPatch) -> None:
    """A change of mobile leaves the rows of the former number in place."""
    patch.setattr(sealing, "forget", lambda *_: None)


@mutation
def changes_are_not_published(patch: pytest.MonkeyPatch) -> None:
    """Booking changes a voucher and tells no terminal."""
    put = Work.put

    def quiet(work: Work, bucket: int, kind: str, ref: str) -> None:
        if kind != ledger.STATE:
            put(work, bucket, kind, ref)

    patch.setattr(Work, "put", quiet)


# --- a central that was put back --------------------------------------------------------------


@mutation
def lost_entries_are_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    """A terminal believes that what central signed for once stays there."""
    patch.setattr(sender, "go_on_from", lambda sending, *_, **__: sending)


@mutation
def cursors_outlive_a_restore(patch: pytest.MonkeyPatch) -> None:
    """A central that was put back answers the cursors of the past that it lost."""
    patch.setattr(restoring, "renew", lambda _: 0)


@mutation
def branches_are_judged_as_if_they_came_first(patch: pytest.MonkeyPatch) -> None:
    """What a person books later takes the place of what was booked before."""
    make = deciding._as_of_branch

    def early(*known: Any) -> Any:
        row = make(*known)
        row.received_at = 0
        return row

    patch.setattr(deciding, "_as_of_branch", early)
