"""What the counter reads of what central told it."""

import pytest

from terminal.errors import OutOfService
from terminal.replica import Replica
from tests.terminal.shop import HERE, NOW, THERE, Shop
from vouchers import sealed
from vouchers.replica_form import REPLICA_SCHEMA


@pytest.fixture
def replica(shop: Shop) -> Replica:
    return Replica(shop.data.replica, shop.key, "T1")


def test_rows_are_found_by_their_key(shop: Shop, replica: Replica) -> None:
    """A sealed row is found by its row key alone, anything else is nothing."""
    sample = shop.issue()
    key = sealed.stretch(sample.code(), sample.last4, shop.vault)
    found = replica.sealed(key.row_key)
    assert found is not None and sealed.open_record(found, key).voucher == sample.voucher
    assert replica.sealed(bytes(16)) is None


def test_a_state_says_which_own_entries_it_includes(shop: Shop, replica: Replica) -> None:
    """A row of its own reflects what it says; one of a snapshot what the snapshot's streams say."""
    own, snapshot = shop.issue(3, used=1), shop.issue()
    shop.database.execute(
        "UPDATE state SET reflects_epoch = 2, reflects_seq = 9 WHERE voucher = ?", (own.voucher,)
    )
    shop.database.execute("INSERT INTO streams VALUES ('T1', 1, 5), ('T1', 2, 7), ('T9', 3, 8)")
    found, other = replica.state(own.voucher), replica.state(snapshot.voucher)
    assert found is not None and other is not None
    assert (found.standing.used, found.reflects_epoch, found.reflects_seq) == (1, 2, 9)
    assert (other.reflects_epoch, other.reflects_seq) == (2, 7)
    assert replica.state("nobody") is None


def test_products_and_outlets_have_names_or_numbers(shop: Shop, replica: Replica) -> None:
    """What the replica does not know is called by its number."""
    shop.product(3, outlets=[HERE, THERE], weekdays=(1, 7), online_only=True)
    known = replica.product(3)
    assert known is not None and known.rule.online_only
    assert (known.rule.outlets, known.rule.weekdays) == ({HERE, THERE}, {1, 7})
    assert replica.product(99) is None
    assert (replica.outlet_name(THERE), replica.outlet_name(99)) == ("西门", "#99")


def test_its_age_is_when_central_confirmed_it(shop: Shop, replica: Replica) -> None:
    """The last confirmation counts, else the moment up to which rows were sealed, else never."""
    assert replica.fresh_at() == replica.sealed_through() == NOW
    shop.database.execute("DELETE FROM meta WHERE key = 'fresh_at'")
    assert replica.fresh_at() == NOW
    shop.database.execute("DELETE FROM meta WHERE key = 'sealed_through'")
    assert replica.fresh_at() == replica.sealed_through() == 0


def test_its_version_names_every_bucket_s_cursor(shop: Shop, replica: Replica) -> None:
    """The entry can say which replica it was decided by."""
    assert replica.version() is None
    shop.database.execute("INSERT INTO cursor VALUES (0, '1.a.5'), (1, '1.a.7')")
    assert replica.version() == "0:1.a.5 1:1.a.7"


def test_without_a_policy_there_is_none(shop: Shop, replica: Replica) -> None:
    """A replica without a policy row has none; one with it gives all of it."""
    assert replica.policy() is None
    shop.set_meta("policy", '{"version": 3, "reversal": {"clerk_minutes": 2}}')
    policy = replica.policy()
    assert policy is not None and (policy.version, policy.reversal.clerk_minutes) == (3, 2)


def test_a_missing_file_is_an_outage_of_this_part(shop: Shop, replica: Replica) -> None:
    """Without a file the message says what to do, and nothing is made in its place."""
    shop.database.close()
    shop.data.replica.unlink()
    assert not replica.present
    with pytest.raises(OutOfService, match="connect it to the network"):
        replica.product(1)
    assert not shop.data.replica.exists() and not replica.damaged


@pytest.mark.parametrize("damage", ["noise", "truncated", "tables"])
def test_a_damaged_file_is_marked_for_replacement(
    shop: Shop, replica: Replica, damage: str
) -> None:
    """Noise, a cut file or missing tables are out of service, and a snapshot will be asked for."""
    assert replica.check() is None
    replica.close()
    if damage == "tables":
        shop.database.execute("DROP TABLE product")
    shop.database.close()
    if damage != "tables":
        raw = shop.data.replica.read_bytes()
        cut = {"noise": b"\x5a" * len(raw), "truncated": raw[:5000]}
        shop.data.replica.write_bytes(cut[damage])
    with pytest.raises(OutOfService):
        replica.product(1)
    assert replica.damaged


def test_a_check_says_what_is_wrong(shop: Shop, replica: Replica) -> None:
    """`check` answers in words instead of raising, for the doctor."""
    shop.database.close()
    shop.data.replica.write_bytes(b"noise" * 2000)
    assert "replica.db" in str(replica.check())


def test_a_look_at_the_replica_notices_what_was_written_in_between(
    shop: Shop, replica: Replica
) -> None:
    """What another connection wrote is seen by the next question."""
    assert replica.outlet_name(HERE) == "East Gate"
    shop.database.execute("UPDATE outlet SET name = 'South' WHERE id = 1")
    assert replica.outlet_name(HERE) == "South"


@pytest.mark.parametrize("said", ["UPDATE meta SET value = '2'", "DELETE FROM meta"])
def test_a_list_of_an_earlier_program_is_not_read(shop: Shop, replica: Replica, said: str) -> None:
    """Its tables are others. It is said as such, and is no damage; a new one takes its place."""
    shop.database.execute(said)
    with pytest.raises(OutOfService, match="another version of hexiao"):
        replica.sealed(bytes(16))
    assert not replica.damaged
    shop.set_meta("schema", str(REPLICA_SCHEMA))
    assert replica.sealed(bytes(16)) is None
