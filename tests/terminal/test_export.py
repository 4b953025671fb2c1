"""The journal as JSON lines."""

import json

import pytest

from terminal import export
from terminal.counter import ShopCounter
from tests.terminal.asking import redeem
from tests.terminal.shop import Shop
from vouchers import entries
from vouchers.ids import unb64u


@pytest.mark.parametrize("since", [0, 2, 5, 99])
def test_the_form_is_the_contract_s(
    shop: Shop, counter: ShopCounter, monkeypatch: pytest.MonkeyPatch, since: int
) -> None:
    """First the header, then every entry after `since`, its body verbatim, over all pages."""
    monkeypatch.setattr(export, "_PAGE", 2)
    for _ in range(5):
        redeem(counter, shop.issue())
    journal = counter.parts.journal
    found = [
        json.loads(line)
        for line in export.lines(journal, epoch=1, since=since, merchant=1, posid="T1")
    ]
    header = {"hexiao_export", "merchant", "posid", "epoch", "public_key", "first_prev"}
    assert set(found[0]) == header and found[0]["hexiao_export"] == 1
    assert unb64u(found[0]["public_key"]) == journal.epoch_record(1)[1]
    assert [line["seq"] for line in found[1:]] == list(range(since + 1, 6))
    for line in found[1:]:
        assert set(line) == {"seq", "body", "hash", "sig"}
        assert entries.entry_hash(line["body"]) == line["hash"] and len(unb64u(line["sig"])) == 64
