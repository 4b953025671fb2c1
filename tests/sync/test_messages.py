"""Bodies of the API: what is written is read back, and nothing else is."""

import json

import msgspec
import pytest

from sync import feed, messages, policy, problems, shapes
from sync.errors import Garbled
from sync.limits import BATCH_ENTRIES_MAX, FEED_ITEMS_MAX
from vouchers import ids

HASH = "0f" * 32
KEY = "A" * 43
SIG = "B" * 85 + "A"
ROW = "C" * 21 + "A"
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
NOW = "2026-11-22T03:04:05.678Z"

STATE = {
    "t": "state",
    "op": "put",
    "voucher": UUID,
    "version": 3,
    "state": "live",
    "generation": 1,
    "used": 2,
    "valid_from": NOW,
    "valid_until": NOW,
    "home": None,
}
PRODUCT = {
    "t": "product",
    "op": "put",
    "id": 1,
    "name": "两人餐",
    "outlets": [1, 2],
    "weekdays": [1, 7],
    "online_only": False,
    "bucket": 4,
    "price_fen": 6800,
    "version": 1,
    "slip_text": None,
}
PUTS = [
    {"t": "sealed", "op": "put", "k": ROW, "record": "abcd", "voucher": UUID},
    STATE,
    PRODUCT,
    {"t": "outlet", "op": "put", "id": 1, "name": "一店", "version": 1},
    {"t": "policy", "op": "put", "policy": {"version": 4}},
    {"t": "key", "op": "put", "kid": 2, "key": KEY, "by": 1, "sig": SIG},
]
DELS = [
    {"t": "sealed", "op": "del", "k": ROW},
    {"t": "state", "op": "del", "voucher": UUID, "version": 4},
    {"t": "product", "op": "del", "id": 1, "version": 2},
    {"t": "outlet", "op": "del", "id": 1, "version": 2},
    {"t": "key", "op": "del", "kid": 1},
]

KINDS = [
    *["SealedPut", "StatePut", "ProductPut", "OutletPut", "PolicyPut", "KeyPut"],
    *["SealedGone", "StateGone", "ProductGone", "OutletGone", "KeyGone"],
]

BODIES = [
    (
        messages.decode_enrolment_request,
        {"schema": 1, "code": "12345678", "sign_key": KEY, "seal_key": KEY, "proof": SIG},
    ),
    (
        messages.decode_hello_request,
        {
            "schema": 1,
            "boot": 0,
            "instance": UUID,
            "nonce": "12345678",
            "version": "",
            "head": {"epoch": 1, "seq": 0, "hash": HASH},
        },
    ),
    (
        messages.decode_batch,
        {"schema": 1, "from": 1, "prev": HASH, "entries": ['{"a":1}'], "sig": SIG},
    ),
    (
        messages.decode_claim_request,
        {
            "schema": 1,
            "claim": UUID,
            "row_key": ROW,
            "voucher": UUID,
            "generation": 0,
            "shares": 1,
        },
    ),
    (messages.decode_lookup_request, {"schema": 1, "row_key": ROW}),
]
ANSWERS = [
    (
        messages.decode_enrolment,
        {
            "posid": "T1",
            "epoch": 1,
            "outlet": {"id": 1, "name": "一店"},
            "merchant": 1,
            "merchant_name": "好味",
            "time_zone": "Asia/Shanghai",
            "recovery_key": KEY,
            "server_keys": [{"kid": 1, "key": KEY}],
            "k_tags": [{"kid": 1, "sealed": "ag"}],
            "vault": {"epoch": 1, "salt": ROW, "t": 2, "m": 19456, "p": 1},
            "policy": {},
        },
    ),
    (messages.decode_hello, {"time": "{}", "kid": 1, "sig": SIG}),
    (
        messages.decode_manifest,
        {
            "sha256": HASH,
            "size": 1,
            "cursor": {"0": "1.ab.7"},
            "sealed_through": NOW,
            "schema": 1,
            "kid": 1,
            "sig": SIG,
        },
    ),
    (messages.decode_batch_answer, {"ack": "{}", "kid": 1, "sig": SIG}),
    (messages.decode_claim_answer, {"claim": UUID, "granted": True, "valid_s": 120}),
    (messages.decode_lookup_answer, {"record": "ag", "voucher": UUID, "state": STATE}),
    (messages.decode_verdicts_page, {"verdicts": [], "cursor": "7"}),
]


def text(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(("decode", "body"), BODIES + ANSWERS)
def test_a_message_goes_round(decode, body):
    """What is decoded is written again as the same thing."""
    message = decode(text(body))
    again = json.loads(messages.encode(message))
    assert {name: again[name] for name in body if name != "policy"} == {
        name: value for name, value in body.items() if name != "policy"
    }
    assert decode(messages.encode(message)) == message


@pytest.mark.parametrize(("decode", "body"), BODIES)
def test_a_request_is_read_strictly(decode, body):
    """Unknown, missing and mistyped fields, and numbers as text, refuse a request."""
    with pytest.raises(Garbled):
        decode(text(body | {"offline": "false"}))
    for name in body:
        if name not in ("schema", "version"):
            with pytest.raises(Garbled):
                decode(text({k: v for k, v in body.items() if k != name}))
        for wrong in (None, [], "", True, 1.5, -1):
            if (name, wrong) != ("version", ""):
                with pytest.raises(Garbled):
                    decode(text(body | {name: wrong}))


@pytest.mark.parametrize(("decode", "body"), ANSWERS)
def test_an_answer_may_grow(decode, body):
    """A newer central's fields are read past; a missing one is not made up."""
    assert decode(text(body | {"later": {"x": 1}})) == decode(text(body))
    with pytest.raises(Garbled):
        decode(text(dict(list(body.items())[1:])))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"<html>502</html>"])
@pytest.mark.parametrize("decode", [decode for decode, _ in BODIES + ANSWERS] + [feed.decode_page])
def test_garbage_is_garbled(decode, body):
    """Whatever a proxy may answer is an outage, not a traceback."""
    with pytest.raises(Garbled):
        decode(body)


def test_a_batch_has_a_limit():
    """A thousand entries pass, one more does not."""
    body = {"from": 1, "prev": HASH, "entries": ["{}"] * BATCH_ENTRIES_MAX, "sig": SIG}
    assert len(messages.decode_batch(text(body)).entries) == BATCH_ENTRIES_MAX
    with pytest.raises(Garbled):
        messages.decode_batch(text(body | {"entries": ["{}"] * (BATCH_ENTRIES_MAX + 1)}))
    with pytest.raises(Garbled):
        messages.decode_batch(text(body | {"entries": []}))


def page(*items, **fields):
    return text({"from": "0", "cursor": "1.a.5", "more": False, "items": items} | fields)


def test_a_page_with_everything_goes_round():
    """Every kind of item is read as what it is, and written again the same."""
    reflects = {"epoch": 1, "seq": 4}
    checkpoint = {"seq": 5, "live": 1, "digest": "0" * 16}
    body = page(
        *PUTS, *DELS, sealed_through=NOW, reflects=reflects, checkpoint=checkpoint, more=False
    )
    read = feed.decode_page(body)
    assert [type(item).__name__ for item in read.items] == KINDS
    assert (read.from_, read.cursor, read.reflects.seq) == ("0", "1.a.5", 4)
    written = json.loads(messages.encode(read))
    assert written["checkpoint"] == checkpoint
    for given, again in zip(PUTS + DELS, written["items"], strict=True):
        if given["t"] != "policy":
            assert again == given
    assert feed.decode_page(messages.encode(read)) == read


def test_an_unknown_kind_is_read_past():
    """A clerk item, or an operation from the future, leaves the rest of the page whole."""
    read = feed.decode_page(
        page({"t": "clerk", "op": "put", "id": 1}, STATE, {"t": "state", "op": "merge"})
    )
    assert [item.voucher for item in read.items] == [UUID]


OPTIONAL = {("put", name) for name in ("op", "home", "slip_text", "by", "sig")}
HALVES = [
    {k: v for k, v in item.items() if k != name}
    for item in PUTS + DELS
    for name in item
    if (item["op"], name) not in OPTIONAL
]
WRONG = [
    STATE | {"used": -1},
    STATE | {"used": "2"},
    STATE | {"state": "expired"},
    STATE | {"valid_until": "2026-11-22"},
    PRODUCT | {"weekdays": [0]},
    5,
    None,
]


@pytest.mark.parametrize("item", HALVES + WRONG)
def test_a_known_kind_that_is_wrong_garbles_the_page(item):
    """Half an item is not guessed at: a put without its fields never becomes a delete."""
    with pytest.raises(Garbled):
        feed.decode_page(page(item))


def test_a_page_has_a_limit():
    """More items than a page may hold are refused before they are read."""
    with pytest.raises(Garbled):
        feed.decode_page(page(*[DELS[0]] * (FEED_ITEMS_MAX + 1)))


def test_digests_add_up_in_any_order():
    """A checkpoint does not depend on the order of rows, but on each row and its version."""
    rows = [(UUID, 1), (UUID, 2), ("other", 1)]
    parts = [feed.row_digest(*row) for row in rows]
    assert feed.digest_text(sum(parts)) == feed.digest_text(sum(reversed(parts)))
    assert len(set(parts)) == 3
    assert feed.digest_text(-1) == "f" * 16


def test_the_policy_defaults_are_the_contract():
    """The numbers of design section 7."""
    default = policy.DEFAULT
    assert (default.offline.max_redemptions.home, default.offline.max_hours.elsewhere) == (5000, 24)
    assert default.offline.max_value_fen == 2_000_000
    assert (default.claim.budget_ms, default.claim.hold_minutes) == (400, 15)
    assert (default.guess.per_code, default.guess.per_terminal) == (5, 20)
    assert msgspec.convert({}, policy.Policy) == default


def test_problems():
    """The machine reason ends the type; a proxy's page is no problem document."""
    problem = problems.Problem(type=problems.problem_type("gap"), status=409, expected=5)
    again = problems.decode_problem(messages.encode(problem))
    assert again == problem
    assert again.reason == "gap"
    assert problems.decode_problem(b"<html>") is None
    assert problems.decode_problem(b"\xff") is None


def test_base64url_has_one_form_only():
    """What cannot be decoded is refused where it is read, never deeper (16, 32, 64, any bytes)."""
    shapes_of = {16: shapes.RowKey, 32: shapes.Key32, 64: shapes.Signature}
    for size, shape in shapes_of.items():
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            text = ids.b64u(bytes(size))[:-1] + last
            assert accepts(shape, text) == decodes(text), (size, last)
    for length in range(10):
        for last in "ABQUg_":
            text = "A" * length + last
            fits = decodes(text) and len(text) >= 2
            assert accepts(shapes.Blob, text) == fits, text


def accepts(shape, text):
    """Whether the wire's decoder takes it."""
    try:
        msgspec.convert(text, shape)
    except msgspec.ValidationError:
        return False
    return True


def decodes(text):
    """Whether the bytes can be read."""
    try:
        ids.unb64u(text)
    except ValueError:
        return False
    return True
