"""A voucher list on its way over a line that breaks: the counter goes on with the old one.

`tests.terminal.bootstrap` does the same with a million vouchers, and processes of their own.
"""

import secrets
from pathlib import Path

import pytest

from central import bench_snapshot, catalogue, enrol, reports, restoring, setup, snapshot
from central.catalogue import NewProduct
from central.service import Central
from terminal.datadir import DataDir
from terminal.enrol import enrol as pair
from tests.central.breaks import Breaks
from tests.central.conftest import issue, served
from tests.central.faulty_line import FaultyLine
from tests.terminal.asking import view
from tests.terminal.bootstrap import Clerk, port_of
from tests.terminal.service import LAST4, opened

NOISE = 1_000
"""Vouchers of others: the file is then several times what a client reads at once."""

AFTER = 150_000


@pytest.fixture
def merchant(tmp_path: Path) -> Central:
    """One outlet, one product."""
    url = f"sqlite:///{tmp_path}/central.db"
    made = setup.init(url, setup.NewMerchant("Bakery", "UTC", "light"), secrets.token_bytes)
    assert isinstance(made, Central)
    catalogue.add_outlet(made, "East")
    catalogue.add_product(made, NewProduct("Bread", 1000, (1,)))
    return made


def test_a_list_that_is_cut_twice_goes_on_where_it_was(merchant: Central, tmp_path: Path) -> None:
    """Each byte comes once, redemptions in the middle of it are booked, and the new list serves."""
    clerk = Clerk([issue(merchant, shares=4).code])
    with served(merchant) as url:
        line = FaultyLine(port_of(url))
        data = DataDir.at(tmp_path / "till")
        made = enrol.make_code(merchant, 1, "T1")
        assert isinstance(made, enrol.Pairing)
        pair(data, line.url, made.code, key_source="file", insecure_http=False)
        with opened(data) as till:
            assert till.worker.once().error is None
        bench_snapshot.fill(merchant, 0, NOISE)
        restoring.renew(merchant)
        later = issue(merchant)
        size = snapshot.current(merchant).size
        serials = list[str]()
        breaks = Breaks(line, after=AFTER, times=2)
        with opened(data) as till:
            old = data.replica.stat().st_ino
            breaks.meanwhile = lambda: serials.append(clerk.redeem(till)[1])
            for number in (1, 2):
                assert till.worker.once().error is not None
                assert len(serials) == number and data.replica.stat().st_ino == old
            assert till.worker.once().error is None
            assert data.replica.stat().st_ino != old
            seen = view(till.counter, later.code, LAST4)
            assert seen.evidence == "row"
            serials.append(clerk.redeem(till)[1])
            assert till.worker.once().behind == 0
        line.close()
    first, second, third = breaks.asked
    assert first == 0 < second < third < size
    assert third > AFTER, "the second try began where the first one ended"
    with merchant.read() as work:
        booked = [row["serial"] for row in reports.redemptions(work)]
    merchant.database.close()
    assert sorted(map(str, booked)) == sorted(serials)
