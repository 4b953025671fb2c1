"""Claims when something breaks between asking and committing, with the bound of each.

Shares held are never lost (they come free) and never doubled beyond the one claim whose terminal
was away for longer than `claim.hold_minutes`: that entry bears the excess, and says with whom.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from central import claims, ingest, reports
from central.arriving import Upload
from central.claims import Claimant, Denied, Granted
from central.issuing import Issued
from central.service import Central
from sync.limits import CLAIM_S
from sync.messages import ClaimRequest
from tests.central.conftest import Pair, issue
from tests.central.till import Till, new_instance, now_ms
from vouchers import entries, times

HOLD_MS = 15 * times.MINUTE_MS


def wish(till: Till, issued: Issued, shares: int = 1) -> ClaimRequest:
    return ClaimRequest(
        claim=new_instance(),
        row_key=till.row_key(issued.code, issued.last4),
        voucher=issued.voucher,
        generation=0,
        shares=shares,
    )


def later(central: Central, ms: int) -> Central:
    """The same service, so much later."""
    return replace(central, clock=lambda: now_ms() + ms)


def claim(central: Central, till: Till, asked: ClaimRequest) -> Granted | Denied:
    return claims.claim(central, Claimant(till.posid, 1, till.enrolment.outlet.id, 0), asked)


def upload(central: Central, till: Till) -> None:
    last = len(till.bodies)
    signed = {last: entries.sign_entry(till.bodies[-1], till.key)}
    sent = Upload(till.posid, 1, 1, till.heads[0], tuple(till.bodies), signed)
    done = ingest.ingest(central, sent)
    assert isinstance(done, ingest.Held)


def verdicts(central: Central) -> dict[object, tuple[object, object]]:
    with central.read() as work:
        return {row["serial"]: (row["verdict"], row["excess"]) for row in reports.redemptions(work)}


def held(central: Central, issued: Issued) -> int:
    with central.read() as work:
        return claims.held_shares(work, issued.voucher)


def test_a_lost_answer_is_asked_for_again(central: Central, pair: Pair) -> None:
    """The same id holds the same shares once, for what is left of its time, and no other wish."""
    issued = issue(central, shares=3)
    till = pair("POS1")
    asked = wish(till, issued, 2)
    first = claim(central, till, asked)
    again = claim(later(central, 50_000), till, asked)
    assert isinstance(first, Granted) and isinstance(again, Granted)
    assert again.valid_ms <= first.valid_ms - 49_000 and held(central, issued) == 2
    over = claim(later(central, CLAIM_S * 1000 + 1), till, asked)
    assert isinstance(over, Denied) and over.refusal.detail == {"why": "claim_over"}
    more = claim(central, till, ClaimRequest(**_changed(asked, shares=3)))
    assert isinstance(more, Denied) and held(central, issued) == 2


def test_a_clock_that_was_set_back_lengthens_no_claim(central: Central, pair: Pair) -> None:
    """The terminal counts from the answer: it may never be told of more than a claim lasts."""
    issued = issue(central)
    till = pair("POS1")
    asked = wish(till, issued)
    assert isinstance(claim(central, till, asked), Granted)
    again = claim(later(central, -times.HOUR_MS), till, asked)
    assert again == Granted(again.voucher, CLAIM_S * 1000) if isinstance(again, Granted) else False


def _changed(asked: ClaimRequest, **changes: object) -> dict[str, object]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__} | changes


def test_of_many_that_ask_at_once_one_gets_the_last_share(central: Central, pair: Pair) -> None:
    """Whoever is first; the others hear `in_progress`."""
    issued = issue(central)
    tills = [pair(f"POS{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda till: till.http.claim(wish(till, issued), budget_ms=20_000), tills)
        )
    assert sum(answer.granted for answer in answers) == 1
    assert {answer.reason for answer in answers if not answer.granted} == {"in_progress"}


def test_the_line_breaks_after_the_commit(central: Central, pair: Pair) -> None:
    """The entry comes late, within the hold: nobody else got the share; bound 0."""
    issued = issue(central)
    one, two = pair("POS1"), pair("POS2", 2)
    asked = wish(one, issued)
    assert isinstance(claim(central, one, asked), Granted)
    serial = one.redeem(issued, claim=asked.claim, mode="online")
    almost = later(central, HOLD_MS - 30_000)
    assert isinstance(claim(almost, two, wish(two, issued)), Denied)
    upload(almost, one)
    assert verdicts(central) == {serial: ("accepted", 0)} and held(central, issued) == 0


def test_the_line_breaks_for_longer_than_the_hold(central: Central, pair: Pair) -> None:
    """Bound: the shares of that claim. The entry that was away bears them, and names the other."""
    issued = issue(central)
    one, two = pair("POS1"), pair("POS2", 2)
    asked, other = wish(one, issued), wish(two, issued)
    assert isinstance(claim(central, one, asked), Granted)
    late = one.redeem(issued, claim=asked.claim, mode="online")
    after = later(central, HOLD_MS + 1_000)
    with after.write() as work:
        assert claims.free_expired(work) == 1
    assert isinstance(claim(after, two, other), Granted)
    prompt = two.redeem(issued, claim=other.claim, mode="online")
    upload(after, two)
    upload(after, one)
    assert verdicts(central) == {prompt: ("accepted", 0), late: ("over_redeemed", 1)}


def test_a_terminal_that_crashed_before_the_commit_loses_nobody_a_share(
    central: Central, pair: Pair
) -> None:
    """It never used its claim: others hear `in_progress` for the hold at most, then redeem."""
    issued = issue(central)
    one, two = pair("POS1"), pair("POS2", 2)
    claim(central, one, wish(one, issued))
    during = claim(later(central, HOLD_MS - 1_000), two, wish(two, issued))
    assert isinstance(during, Denied) and during.refusal.reason == "in_progress"
    assert isinstance(claim(later(central, HOLD_MS + 1_000), two, wish(two, issued)), Granted)


def test_an_entry_whose_claim_had_run_out_still_owns_its_shares(
    central: Central, pair: Pair
) -> None:
    """The answer came too late for the counter, which went on alone and kept the id."""
    issued = issue(central)
    one, two = pair("POS1"), pair("POS2")
    asked = wish(one, issued)
    claim(central, one, asked)
    other = two.redeem(issued, mode="lone")
    upload(later(central, CLAIM_S * 1000 + 5_000), two)
    mine = one.redeem(issued, claim=asked.claim, mode="lone")
    upload(later(central, CLAIM_S * 1000 + 6_000), one)
    assert verdicts(central) == {mine: ("accepted", 0), other: ("over_redeemed", 1)}


def test_a_claim_cannot_be_used_twice_or_by_another(central: Central, pair: Pair) -> None:
    """An id stands for one entry of the terminal that it was granted to."""
    issued = issue(central, shares=2)
    one, two = pair("POS1"), pair("POS2")
    asked = wish(one, issued)
    claim(central, one, asked)
    thief = two.redeem(issued, 2, claim=asked.claim, mode="online")
    upload(central, two)
    first = one.redeem(issued, claim=asked.claim, mode="online")
    second = one.redeem(issued, generation=1, left=0, claim=asked.claim, mode="online")
    upload(central, one)
    found = verdicts(central)
    assert found[first] == ("accepted", 0)
    assert sum(int(str(excess)) for _, excess in found.values()) == 2
    assert {serial for serial, (verdict, _) in found.items() if verdict == "over_redeemed"} <= {
        thief,
        second,
    }


def test_a_claim_places_no_more_than_it_was_granted_for_first(central: Central, pair: Pair) -> None:
    """An entry of more shares than its claim held stands where it would without one."""
    issued = issue(central, shares=2)
    one, two = pair("POS1", 2), pair("POS2")
    asked = wish(one, issued)
    claim(central, one, asked)
    home = two.redeem(issued, 2, mode="lone")
    upload(central, two)
    greedy = one.redeem(issued, 2, claim=asked.claim, mode="online")
    upload(central, one)
    assert verdicts(central) == {home: ("accepted", 0), greedy: ("over_redeemed", 2)}
    assert held(central, issued) == 0
