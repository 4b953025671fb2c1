"""Putting a terminal together from its directory."""

import json

import msgspec
import pytest

from terminal import assembly
from terminal import identity as identities
from terminal.assembly import Options
from terminal.errors import Misconfigured, OutOfService
from terminal.syncing import ClockOfTerminal
from tests.terminal.asking import redeem, view
from tests.terminal.shop import NOW, Shop, close
from vouchers.policy import Policy
from vouchers.times import DAY_MS, HOUR_MS


def test_an_empty_directory_is_not_enrolled(shop: Shop) -> None:
    """Without a key record or an identity the message names the command."""
    shop.data.identity.unlink()
    with pytest.raises(OutOfService, match="hexiao enrol"):
        shop.open()
    shop.data.key_source.unlink()
    with pytest.raises(Misconfigured, match="hexiao enrol"):
        shop.open()


def test_opening_makes_the_epoch_once(shop: Shop) -> None:
    """A crash between identity and journal is made good at the next start."""
    for _ in range(2):
        counter = shop.open()
        assert counter.parts.journal.epochs() == [1]
        close(counter)


def test_a_failed_opening_lets_go_of_the_journal(shop: Shop) -> None:
    """After a start that failed half-way the next one finds nothing locked."""
    identity = identities.load(shop.data, shop.key)
    wrong = msgspec.structs.replace(identity, server_keys={1: b"short"})
    identities.save(shop.data, wrong, shop.key)
    with pytest.raises(ValueError):
        shop.open()
    identities.save(shop.data, identity, shop.key)
    close(shop.open())


def test_a_new_epoch_takes_the_totals_that_central_knew(shop: Shop) -> None:
    """A replaced disk goes on with central's totals; a kept journal with its own."""
    identity = identities.load(shop.data, shop.key)
    totals = dict.fromkeys(("redemptions", "shares", "amount_fen"), 5)
    again = msgspec.structs.replace(
        identity,
        epoch=2,
        previous_head="ab" * 32,
        previous_totals={
            **totals,
            **dict.fromkeys(("reversals", "reversed_shares", "reversed_fen"), 1),
        },
    )
    identities.save(shop.data, again, shop.key)
    counter = shop.open()
    assert counter.parts.journal.totals().redemptions == 5
    record = json.loads(counter.parts.journal.epoch_record(2)[0])
    assert record["previous_head"] == "ab" * 32
    redeem(counter, shop.issue())
    close(counter)
    identities.save(shop.data, msgspec.structs.replace(again, epoch=3), shop.key)
    counter = shop.open()
    assert counter.parts.journal.totals().redemptions == 6
    close(counter)


def test_the_clock_s_floor_and_anchor_survive_a_restart(shop: Shop) -> None:
    """In the same boot the server's time goes on; after a reboot its moment is still the floor."""
    counter = shop.open()
    port = ClockOfTerminal(counter)
    time = type("T", (), {"now": NOW + 5 * HOUR_MS})()
    port.server_said(time, asked_ms=shop.clock.mono_ms - 40, heard_ms=shop.clock.mono_ms)
    close(counter)
    shop.clock.mono_ms += 1_000
    counter = shop.open()
    assert counter.parts.clock.estimate().now == NOW + 5 * HOUR_MS + 1_000
    close(counter)
    shop.clock.reboot()
    shop.clock.wall_ms = NOW
    counter = shop.open()
    found = counter.parts.clock.estimate()
    assert (found.floor, found.suspect) == (NOW + 5 * HOUR_MS, True)
    close(counter)


@pytest.mark.parametrize(("days", "clock"), [(30, "ok"), (31, "suspect"), (-365, "suspect")])
def test_a_terminal_from_the_cupboard(shop: Shop, days: int, clock: str) -> None:
    """Switched off for 30 days is a holiday, for 31 or set back a year a person looks at it."""
    counter = shop.open()
    redeem(counter, shop.issue())
    close(counter)
    shop.clock.reboot()
    shop.clock.wall_ms = NOW + days * DAY_MS
    counter = shop.open()
    assert counter.status().clock == clock
    if clock == "suspect":
        home = shop.issue(valid=(NOW - DAY_MS, NOW + DAY_MS))
        assert view(counter, home.code(), home.last4).refusal is None
    close(counter)


def test_the_policy_is_the_replica_s_else_the_enrolment_s(shop: Shop) -> None:
    """A policy of the feed holds over restarts; a damaged list falls back to the enrolment's."""
    shop.set_meta("policy", '{"version": 9}')
    counter = shop.open()
    assert counter.parts.policy.version == 9
    close(counter)
    shop.database.close()
    shop.data.replica.write_bytes(b"noise" * 3000)
    counter = shop.open()
    assert counter.parts.policy == Policy()
    close(counter)
    shop.data.replica.unlink()
    close(shop.open())


@pytest.mark.parametrize("text", ["noise", '{"version": -1}', "[]"])
def test_a_policy_that_cannot_be_read_stops_nobody(shop: Shop, text: str) -> None:
    """A policy in a form this program does not know leaves the enrolment's in force."""
    shop.set_meta("policy", text)
    counter = shop.open()
    assert counter.parts.policy == Policy()
    close(counter)


def test_a_journal_with_a_damaged_last_entry_can_be_rescued(shop: Shop) -> None:
    """The unchecked opening, which a rescue uses, does not stumble over what it has to save."""
    counter = shop.open()
    redeem(counter, shop.issue())
    connection = counter.parts.journal.connection
    connection.execute("DROP TRIGGER entry_never_changes")
    connection.execute("UPDATE entry SET body = 'noise'")
    close(counter)
    parts = assembly.open_parts(shop.data, Options(), clock=shop.clock)
    assert parts.journal.entries(1, 0, 9)[0].body == "noise"
    assembly.close(parts)
