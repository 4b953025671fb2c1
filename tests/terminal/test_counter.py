"""The counter: limits met through it, claims, requests, and what stays in memory."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from terminal.counter import OPENED_MAX, ShopCounter
from terminal.errors import OutcomeUnknown, OutOfService
from terminal.outcomes import Redeemed
from terminal.parts import Claimed, FoundRow, Parts
from tests.terminal.asking import all_entries, detail, reason, redeem, reverse, view
from tests.terminal.shop import HERE, NOW, THERE, Sample, Shop, close
from vouchers import entries, times
from vouchers.policy import ByPlace, Cli, Offline, Policy
from vouchers.reasons import Reason
from vouchers.sealed import Record
from vouchers.times import DAY_MS, HOUR_MS


def limited(shop: Shop, **offline: object) -> ShopCounter:
    """The shop's terminal under a policy of its own."""
    opened = shop.open(has_printer=True)
    opened.parts.policy = Policy(offline=Offline(**offline))  # type: ignore[arg-type]
    return opened


# The owner's limits, at their edges


def test_the_count_at_home_ends_where_it_is_set(shop: Shop) -> None:
    """With two allowed at home the third is refused and says so; elsewhere counts apart."""
    counter = limited(shop, max_redemptions=ByPlace(home=2, elsewhere=1))
    for _ in range(2):
        redeem(counter, shop.issue())
    answer = counter.look_up(*(lambda s: (s.code(), s.last4))(shop.issue()))
    assert reason(answer) is Reason.OFFLINE_LIMIT and detail(answer) == {"why": "count", "limit": 2}
    redeem(counter, shop.issue(product=2, home=None))
    sample = shop.issue(product=2, home=None)
    assert detail(counter.look_up(sample.code(), sample.last4))["limit"] == 1
    close(counter)


def test_the_value_ends_where_it_is_set(shop: Shop) -> None:
    """The sum may reach the limit and not pass it: 3 x 10.00 of 30.00, then nothing."""
    counter = limited(shop, max_value_fen=3_000)
    sample = shop.issue(5)
    redeem(counter, sample, 2)
    seen = view(counter, sample.code(1), sample.last4)
    assert seen.max_now == 1
    refused = counter.redeem(seen.handle, 2, clerk="li", request="two")
    assert reason(refused) is Reason.OFFLINE_LIMIT and detail(refused)["why"] == "value"
    redeem(counter, sample, 1, generation=1)
    assert detail(counter.look_up(sample.code(2), sample.last4))["why"] == "value"
    close(counter)


@pytest.mark.parametrize(("home", "hours"), [(HERE, 72), (None, 24)])
def test_the_time_without_contact_ends_where_it_is_set(
    shop: Shop, home: int | None, hours: int
) -> None:
    """72 hours at home and 24 elsewhere after the last contact, to the millisecond."""
    counter = limited(shop)
    sample = shop.issue(product=2, home=home)
    shop.clock.pass_ms(hours * HOUR_MS)
    assert view(counter, sample.code(), sample.last4).refusal is None
    shop.clock.pass_ms(1)
    answer = counter.look_up(sample.code(), sample.last4)
    assert reason(answer) is Reason.OFFLINE_LIMIT and detail(answer)["limit"] == hours
    close(counter)


def test_an_old_voucher_list_ends_what_the_hours_allow(shop: Shop) -> None:
    """With longer hours it is the age of the list that ends redeeming."""
    counter = limited(shop, max_hours=ByPlace(home=500, elsewhere=500), max_replica_age_hours=100)
    sample = shop.issue()
    shop.clock.pass_ms(100 * HOUR_MS)
    assert view(counter, sample.code(), sample.last4).refusal is None
    shop.clock.pass_ms(1)
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.REPLICA_TOO_OLD
    close(counter)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_the_foreign_allowance_is_the_owner_s(shop: Shop, allowed: int) -> None:
    """A voucher of another home gives `foreign_shares_row` in all between two contacts."""
    counter = limited(shop, foreign_shares_row=allowed, unhomed_shares=9)
    sample = shop.issue(9, product=2, home=THERE)
    for generation in range(allowed):
        redeem(counter, sample, 1, generation=generation)
    answer = counter.look_up(sample.code(allowed), sample.last4)
    if allowed < 2:  # the next row is sealed by central only for generations 0 and 1
        assert reason(answer) is Reason.NEEDS_NETWORK
        assert detail(answer) == {"why": "allowance", "left": 0}
    close(counter)


def test_a_till_that_is_not_the_primary_one_has_no_home_rights(shop: Shop) -> None:
    """With `tills = primary_only` a home voucher needs central here."""
    counter = limited(shop, tills="primary_only")
    sample = shop.issue()
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.NEEDS_NETWORK
    close(counter)


def test_an_acknowledgement_frees_the_count(shop: Shop) -> None:
    """What central signed for is between contacts no more."""
    counter = limited(shop, max_redemptions=ByPlace(home=1, elsewhere=1))
    redeem(counter, shop.issue())
    sample = shop.issue()
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.OFFLINE_LIMIT
    journal = counter.parts.journal
    with journal.transaction() as connection:
        journal.advance(connection, "acknowledged", 1, journal.head().seq)
    assert view(counter, sample.code(), sample.last4).refusal is None
    close(counter)


def test_a_suspect_clock_gives_nothing_to_strangers(shop: Shop, counter: ShopCounter) -> None:
    """While the clock is suspect home vouchers go on and foreign ones are refused as that."""
    redeem(counter, shop.issue())
    shop.clock.wall_ms -= 365 * DAY_MS
    home, foreign = shop.issue(), shop.issue(product=2, home=None)
    assert view(counter, home.code(), home.last4).refusal is None
    assert reason(counter.look_up(foreign.code(), foreign.last4)) is Reason.CLOCK_SUSPECT
    redeem(counter, home)
    assert all_entries(counter)[-1].clock == "suspect"


# Claims


@dataclass
class Claims:
    """What came of asking for a claim, as the online port hands it on."""

    shop: Shop
    answer: str = "granted"
    valid_ms: int = 120_000
    wait_ms: int = 0
    asked: list[str] = field(default_factory=list)

    def reachable(self) -> bool:
        return self.answer != "not asked"

    def claim(self, claim: str, row_key: bytes, record: Record, shares: int) -> Claimed | None:
        until = self.shop.clock.mono_ms + self.valid_ms
        self.shop.clock.pass_ms(self.wait_ms)
        if self.answer != "not asked":
            self.asked.append(claim)
        match self.answer:
            case "granted":
                return Claimed(claim, granted=True, until_mono_ms=until)
            case "not asked":
                return None
            case "no answer":
                return Claimed(claim, granted=False, until_mono_ms=until)
            case refused:
                return Claimed(claim, granted=False, reason=refused)

    def look_up(self, row_key: bytes) -> FoundRow | None:
        return None


@pytest.fixture
def claims(shop: Shop, counter: ShopCounter) -> Claims:
    made = Claims(shop)
    counter.parts.online = made
    return made


def test_a_granted_claim_makes_it_online_and_unlimited(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """A claim in hand is `mode: online`, keeps its id, and lifts the limits of being alone: also
    for a product that is redeemed online only, a voucher without a home, and past the caps."""
    counter.parts.policy = Policy(offline=Offline(max_redemptions=ByPlace(home=0, elsewhere=0)))
    shop.product(5, outlets=[HERE], online_only=True)
    for sample in (shop.issue(4, product=5), shop.issue(4, product=2, home=None)):
        assert view(counter, sample.code(), sample.last4).max_now == 4
        assert redeem(counter, sample, 3).mode == "online"
        said = entries.read_redemption(all_entries(counter)[-1])
        assert (said.mode, said.claim is not None) == ("online", True)


def test_what_the_screen_offered_is_decided_again_without_an_answer(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """Central was in reach at the look-up and did not answer the claim: the lone limits hold."""
    shop.product(5, outlets=[HERE], online_only=True)
    strict, foreign = shop.issue(4, product=5), shop.issue(4, product=2, home=None)
    claims.answer = "no answer"
    seen = [view(counter, sample.code(), sample.last4) for sample in (strict, foreign)]
    asked = [counter.redeem(v.handle, 2, clerk="li", request=v.voucher) for v in seen]
    assert [reason(answer) for answer in asked] == [Reason.ONLINE_ONLY, Reason.NEEDS_NETWORK]


@pytest.mark.parametrize(
    ("valid_ms", "wait_ms", "mode"),
    [(120_000, 0, "online"), (120_000, 110_000, "online"), (120_000, 110_001, "lone")],
)
def test_a_claim_needs_ten_seconds_of_its_time_left(
    shop: Shop, counter: ShopCounter, claims: Claims, valid_ms: int, wait_ms: int, mode: str
) -> None:
    """With less than ten seconds left the claim is not used, but its id stays in the entry."""
    claims.valid_ms, claims.wait_ms = valid_ms, wait_ms
    done = redeem(counter, shop.issue())
    assert done.mode == mode
    assert entries.read_redemption(all_entries(counter)[-1]).claim is not None


@pytest.mark.parametrize("answer", ["no answer", "a_reason_of_the_future"])
def test_without_an_answer_the_entry_keeps_the_claim_s_id(
    shop: Shop, counter: ShopCounter, claims: Claims, answer: str
) -> None:
    """No answer in time is mode lone under the lone limits, and central can free the claim."""
    claims.answer = answer
    assert redeem(counter, shop.issue()).mode == "lone"
    assert entries.read_redemption(all_entries(counter)[-1]).claim is not None


def test_where_central_was_not_asked_there_is_no_claim(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """A network that is known to be down is not asked, and the entry names no claim."""
    claims.answer = "not asked"
    assert redeem(counter, shop.issue()).mode == "lone"
    assert entries.read_redemption(all_entries(counter)[-1]).claim is None


def ask(counter: ShopCounter, sample: Sample, shares: int, request: str) -> object:
    """Confirm so many shares; what came of it."""
    seen = view(counter, sample.code(), sample.last4)
    return counter.redeem(seen.handle, shares, clerk="li", request=request)


def test_the_clerk_s_next_try_finds_the_shares_that_a_lost_answer_held(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """Refused for want of an answer, then asked again: under the same id, which central granted,
    and not under a new one, to which its own claim would be in progress elsewhere."""
    sample = shop.issue(4, product=2, home=None)
    claims.answer = "no answer"
    assert reason(ask(counter, sample, 2, "a")) is Reason.NEEDS_NETWORK
    assert reason(ask(counter, sample, 3, "b")) is Reason.NEEDS_NETWORK
    claims.answer = "granted"
    done = ask(counter, sample, 2, "c")
    assert isinstance(done, Redeemed) and done.mode == "online"
    first, other, again = claims.asked
    assert first == again != other
    assert entries.read_redemption(all_entries(counter)[-1]).claim == first


@pytest.mark.parametrize("how", ["refused", "over"])
def test_an_id_is_asked_once_more_only_while_it_may_hold_shares(
    shop: Shop, counter: ShopCounter, claims: Claims, how: str
) -> None:
    """Not after a refusal by central, nor after its time; and no memory of it stays."""
    sample = shop.issue(4, product=2, home=None)
    claims.answer = "in_progress" if how == "refused" else "no answer"
    assert not isinstance(ask(counter, sample, 2, "a"), Redeemed)
    shop.clock.pass_ms(120_000 if how == "over" else 0)
    claims.answer = "granted"
    assert isinstance(ask(counter, sample, 2, "b"), Redeemed)
    assert len(set(claims.asked)) == 2 and not counter.parts.unused_claims


def test_claims_that_ran_out_are_forgotten(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """A day of lost answers leaves two minutes of them in memory, and no used one."""
    claims.answer = "no answer"
    assert isinstance(ask(counter, shop.issue(), 1, "used"), Redeemed)
    for number in range(3):
        ask(counter, shop.issue(4, product=2, home=None), 2, f"r{number}")
        shop.clock.pass_ms(60_000)
    assert len(counter.parts.unused_claims) == 2


def test_an_entry_made_without_asking_again_names_what_was_asked(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """Refused alone, then allowed alone: central may hold the shares under the first id."""
    sample = shop.issue(4, product=2, home=None)
    claims.answer = "no answer"
    assert reason(ask(counter, sample, 2, "a")) is Reason.NEEDS_NETWORK
    claims.answer = "not asked"
    counter.parts.policy = Policy(offline=Offline(unhomed_shares=2))
    done = ask(counter, sample, 2, "b")
    assert isinstance(done, Redeemed) and done.mode == "lone"
    assert [entries.read_redemption(all_entries(counter)[-1]).claim] == claims.asked


def test_after_a_journal_that_could_not_be_written_the_claim_serves_again(
    shop: Shop, counter: ShopCounter, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was booked, so nothing is lost: the next try is the same claim."""
    sample = shop.issue()
    with monkeypatch.context() as patch:
        patch.setattr(counter.parts, "min_free_mb", 1 << 40)
        with pytest.raises(OutOfService):
            ask(counter, sample, 1, "a")
    assert isinstance(ask(counter, sample, 1, "a"), Redeemed)
    first, again = claims.asked
    assert first == again


@pytest.mark.parametrize("word", ["in_progress", "used_up", "refunded", "replaced"])
def test_central_s_no_stands(shop: Shop, counter: ShopCounter, claims: Claims, word: str) -> None:
    """AX-12, AX-13: what central refuses is refused here with its reason, and nothing is booked."""
    claims.answer = word
    sample = shop.issue(2)
    seen = view(counter, sample.code(), sample.last4)
    answer = counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert reason(answer) == word
    assert [entry.kind for entry in all_entries(counter)] == ["refused"]
    claims.answer = "granted"
    assert redeem(counter, sample).left == 1


def test_central_s_no_is_told_and_not_that_the_network_is_missing(
    shop: Shop, counter: ShopCounter, claims: Claims
) -> None:
    """More than this till may give alone, and somebody else is at it: the clerk hears that, and
    not to wait for a network that is there."""
    counter.parts.policy = Policy(offline=Offline(max_redemptions=ByPlace(home=0, elsewhere=0)))
    shop.product(5, outlets=[HERE], online_only=True)
    for sample in (shop.issue(4, product=5), shop.issue(4, product=2, home=None), shop.issue(4)):
        seen = view(counter, sample.code(), sample.last4)
        claims.answer = "in_progress"
        answer = counter.redeem(seen.handle, 3, clerk="li", request=sample.code())
        assert reason(answer) is Reason.IN_PROGRESS
        claims.answer = "granted"


# Requests


def test_ax_02_a_request_books_once_whatever_is_presented(shop: Shop, counter: ShopCounter) -> None:
    """AX-02: the same request with another voucher answers the first result and books nothing;
    the first voucher's new code is not told to whoever presents another one."""
    first, other = shop.issue(3), shop.issue(3)
    done = redeem(counter, first, 1, request="q")
    seen = view(counter, other.code(), other.last4)
    again = counter.redeem(seen.handle, 2, clerk="li", request="q")
    assert isinstance(again, Redeemed) and again.repeated
    assert (again.serial, again.voucher, again.shares) == (done.serial, first.voucher, 1)
    assert again.successor_code is None
    assert view(counter, other.code(), other.last4).left == 3
    presented = counter.redeem_presented(
        other.code(), other.last4, 1, clerk="li", request="q", slip=False
    )
    assert isinstance(presented, Redeemed) and presented.successor_code is None


def test_a_request_is_answered_after_a_restart(shop: Shop, counter: ShopCounter) -> None:
    """A second start still knows the result of a request, its new code included."""
    sample = shop.issue(3)
    done = redeem(counter, sample, 1, request="q")
    close(counter)
    again = shop.open()
    found = again.redeem_presented(
        sample.code(), sample.last4, 1, clerk="li", request="q", slip=False
    )
    assert isinstance(found, Redeemed) and found.repeated
    assert (found.serial, found.successor_code) == (done.serial, sample.code(1))
    close(again)


def test_a_repeated_request_with_wrong_digits_is_a_guess(shop: Shop, counter: ShopCounter) -> None:
    """Knowing a request does not let anyone try digits: the miss is charged, the code not told."""
    sample = shop.issue(3)
    redeem(counter, sample, 1, request="q")
    for _ in range(5):
        found = counter.redeem_presented(
            sample.code(), "9999", 1, clerk="li", request="q", slip=False
        )
        assert isinstance(found, Redeemed) and found.successor_code is None
    assert reason(counter.look_up(sample.code(), sample.last4)) is Reason.LOCKED


def test_a_request_is_answered_without_a_voucher_list(shop: Shop, counter: ShopCounter) -> None:
    """AX-03: the first result stands in the journal; a damaged replica does not hide it."""
    sample = shop.issue(2)
    seen = view(counter, sample.code(), sample.last4)
    counter.redeem(seen.handle, 1, clerk="li", request="q")
    counter.parts.replica.close()
    shop.database.close()
    shop.data.replica.write_bytes(b"noise" * 3000)
    found = counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert isinstance(found, Redeemed) and found.repeated and found.product_name == "#1"


# Memory and threads


def test_only_a_few_vouchers_stay_open(shop: Shop, counter: ShopCounter) -> None:
    """The ninth look-up lets go of the first: its handle says to scan again."""
    first = shop.issue()
    seen = view(counter, first.code(), first.last4)
    for _ in range(OPENED_MAX):
        other = shop.issue()
        view(counter, other.code(), other.last4)
    with pytest.raises(OutOfService, match="scan it again"):
        counter.redeem(seen.handle, 1, clerk="li", request="q")


def test_two_clerks_at_once_get_one_redemption(shop: Shop, counter: ShopCounter) -> None:
    """EV-047: the same voucher redeemed from many threads at once is booked exactly once."""
    sample = shop.issue()
    handles = [view(counter, sample.code(), sample.last4).handle for _ in range(6)]
    answers: list[object] = []

    def press(number: int, handle: str) -> None:
        answers.append(counter.redeem(handle, 1, clerk="li", request=f"q{number}"))

    threads = [threading.Thread(target=press, args=pair) for pair in enumerate(handles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, Redeemed) for answer in answers) == 1
    refused = [answer for answer in answers if not isinstance(answer, Redeemed)]
    assert {reason(answer) for answer in refused} == {Reason.USED_UP}


def test_keeping_the_log_short_never_stops_a_redemption(shop: Shop, counter: ShopCounter) -> None:
    """A long log and a key that is still stretched wait for one another no more."""
    samples = [shop.issue(3) for _ in range(40)]
    done: list[object] = []

    def at_once(_: object) -> None:
        done.extend(redeem(counter, sample) for sample in samples)

    hurried = threading.Thread(target=lambda: counter.exclusive(at_once), daemon=True)
    hurried.start()
    hurried.join(timeout=20)
    assert len(done) == len(samples), f"stopped after {len(done)}"
    assert counter.parts.journal.log_is_long, "the log never grew: nothing was shown"


def test_an_unknown_commit_is_looked_up_and_answered(shop: Shop, counter: ShopCounter) -> None:
    """A COMMIT that raised and did not take leaves nothing booked, and says so."""
    sample = shop.issue()
    seen = view(counter, sample.code(), sample.last4)
    counter.parts.journal.connection.set_commit_hook(lambda: True)
    with pytest.raises(OutOfService, match="nothing was booked"):
        counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert redeem(counter, sample).left == 0


def test_a_reversal_whose_commit_raised_is_made_once(shop: Shop, counter: ShopCounter) -> None:
    """After the file was opened again the reversal is tried once more, and stands once."""
    done = redeem(counter, shop.issue())
    counter.parts.journal.connection.set_commit_hook(lambda: True)
    undone = reverse(counter, done.serial)
    assert not undone.repeated
    assert [entry.kind for entry in all_entries(counter)] == ["redeemed", "reversed"]


def test_a_reversal_that_cannot_be_looked_up_is_unknown(
    shop: Shop, counter: ShopCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the journal does not open again the outcome stays unknown, and is called that."""
    done = redeem(counter, shop.issue())
    journal = counter.parts.journal
    journal.connection.set_commit_hook(lambda: True)
    away = shop.data.journal.with_name("away.db")

    def gone() -> None:
        raise OutOfService("journal.db cannot be opened")

    monkeypatch.setattr(journal, "reopen", gone)
    with pytest.raises(OutcomeUnknown):
        counter.reverse(done.serial, reason_code="test", clerk="li")
    monkeypatch.undo()
    assert not away.exists()


def test_a_nearly_full_disk_refuses_before_anything_is_booked(shop: Shop) -> None:
    """With less free space than set, nothing is risked and the message says what to do."""
    counter = shop.open()
    counter.parts.min_free_mb = 10**9
    sample = shop.issue()
    seen = view(counter, sample.code(), sample.last4)
    with pytest.raises(OutOfService, match="disk is almost full"):
        counter.redeem(seen.handle, 1, clerk="li", request="q")
    assert counter.parts.journal.head().seq == 0
    close(counter)


# The status line


@pytest.fixture
def idle(shop: Shop) -> Iterator[ShopCounter]:
    opened = shop.open(clerk="wang")
    yield opened
    close(opened)


def test_the_status_line_says_who_where_and_how(shop: Shop, idle: ShopCounter) -> None:
    """An idle terminal says its POSID, outlet, clerk and that nothing waits."""
    shop.clock.pass_ms(61_000)
    said = idle.status()
    assert (said.posid, said.outlet.name, said.clerk) == ("T1", "East Gate", "wang")
    assert (said.network, said.printer, said.scanner, said.clock) == ("none", "none", "none", "ok")
    assert (said.replica_age_s, said.unacknowledged, said.locked_until) == (61, 0, None)
    assert said.offline_left is None and said.notices == ()


def test_a_list_from_a_moment_ahead_has_no_age(shop: Shop, idle: ShopCounter) -> None:
    """Central's clock is a little before ours; a negative age would be refused at every hello."""
    shop.set_meta("fresh_at", times.format_utc(NOW + 900))
    assert idle.status().replica_age_s == 0


def test_the_countdown_shows_before_the_limit_bites(shop: Shop) -> None:
    """Twenty before the end the number shows, and it is 0 once the time has run out."""
    counter = limited(shop, max_redemptions=ByPlace(home=21, elsewhere=1))
    assert counter.status().offline_left is None
    redeem(counter, shop.issue())
    assert counter.status().offline_left == 20
    shop.clock.pass_ms(72 * HOUR_MS + 1)
    assert counter.status().offline_left == 0
    close(counter)


def test_the_status_line_survives_a_missing_voucher_list(shop: Shop, idle: ShopCounter) -> None:
    """Without a replica the line says so by having no age."""
    idle.parts.replica.close()
    shop.database.close()
    shop.data.replica.unlink()
    said = idle.status()
    assert (said.replica_age_s, said.offline_left) == (None, None)


def test_the_clerk_is_the_posid_until_people_sign_in(shop: Shop, counter: ShopCounter) -> None:
    """An entry made for nobody in particular names the terminal itself."""
    sample = shop.issue()
    seen = view(counter, sample.code(), sample.last4)
    counter.redeem(seen.handle, 1, clerk="", request="q")
    assert all_entries(counter)[-1].clerk == "T1"


def test_policies_are_whole(shop: Shop) -> None:
    """A policy that names one number keeps the defaults of all others."""
    found = msgspec.json.decode(b'{"version": 1, "cli": {"redeem": "deny"}}', type=Policy)
    assert found == Policy(version=1, cli=Cli(redeem="deny"))
    assert NOW > 0


def test_whoever_has_time_waits_for_the_use_case_that_runs(counter: ShopCounter) -> None:
    """`make_way` returns at once at an idle counter, and else when the use case ended."""
    counter.make_way()
    order, inside, go_on = list[str](), threading.Event(), threading.Event()

    def use_case(_: Parts) -> None:
        inside.set()
        assert go_on.wait(10)
        order.append("use case")

    def follower() -> None:
        counter.make_way()
        order.append("follower")

    clerk = threading.Thread(target=lambda: counter.exclusive(use_case))
    clerk.start()
    assert inside.wait(10)
    waiting = threading.Thread(target=follower)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    go_on.set()
    for thread in (clerk, waiting):
        thread.join(10)
    assert order == ["use case", "follower"]
