"""The tables of the central service, one schema for SQLite and PostgreSQL.

Responsible for: names, types, keys. Not responsible for: opening a database, migrating it, or any
rule. Invariants: the merchant is first in every primary key, so that the whole may be distributed
by it; every transaction stays inside one merchant; times are milliseconds UTC; money is fen; flags
are 0 or 1; no trigger, sequence or stored procedure decides anything.
"""

from typing import Final

from sqlalchemy import Index, UniqueConstraint, text

from central.columns import METADATA as METADATA
from central.columns import key_of as _key
from central.columns import octets as _bytes
from central.columns import table as _table
from central.columns import whole as _int
from central.columns import words as _text

merchants: Final = _table(
    "merchants", _text("name"), _text("time_zone"), _text("url", optional=True), _int("created_at")
)

# Private keys live in the database so that several processes share them and one backup holds all;
# the database file is 0600 and its dumps are as secret as the keys. `public` and `secret` are raw.
keys: Final = _table(
    "keys",
    _key("purpose", "text"),  # sign, recovery, tag, nonce
    _key("kid"),
    _bytes("public"),
    _bytes("secret"),
    _int("created_at"),
)

vaults: Final = _table(
    "vaults",
    _key("epoch"),
    _bytes("salt"),
    _int("t"),
    _int("m_kib"),
    _int("p"),
    _int("created_at"),
)

policies: Final = _table("policies", _key("version"), _text("policy"), _int("created_at"))

outlets: Final = _table("outlets", _key("outlet"), _text("name"), _int("version"))

# A bucket is a distinct set of outlets; bucket 0 is the merchant's catalogue. Once numbered, a set
# keeps its number for ever. `outlets` is a canonical JSON array of ascending ids.
buckets: Final = _table(
    "buckets", _key("bucket"), _text("outlets"), UniqueConstraint("merchant", "outlets")
)

products: Final = _table(
    "products",
    _key("product"),
    _text("name"),
    _int("price_fen"),
    _int("bucket"),
    _text("weekdays"),
    _int("online_only"),
    _int("valid_from", optional=True),
    _int("valid_to", optional=True),
    _int("valid_days", optional=True),
    _int("refund_ratio"),
    _int("refund_fee_fen"),
    _text("fee_bearer"),
    _int("auto_refund"),
    _text("slip_text", optional=True),
    _int("version"),
    _int("moving"),  # 1 while vouchers still lie in the bucket where it was (central.moving)
)

# Where a product was good, and until when that may be unheard of.
former_outlets: Final = _table("former_outlets", _key("product"), _key("outlet"), _int("until"))

orders: Final = _table(
    "orders",
    _key("order_id", "text"),
    _text("external", optional=True),
    _text("fingerprint", optional=True),
    _int("product"),
    _text("voucher"),
    _text("mobile"),
    _int("shares"),
    _int("paid_fen"),
    _text("origin"),
    _int("created_at"),
    UniqueConstraint("merchant", "external"),
)

# `used` is what has been booked, including `used_before`: shares and generations that were spent
# in another system before the voucher came to this one. `has_reversals` is 1 once a reversal names
# the voucher: what it adds up to then depends on all its entries.
vouchers: Final = _table(
    "vouchers",
    _key("voucher", "text"),
    _text("order_id"),
    _int("product"),
    _int("bucket"),
    _bytes("secret"),
    _int("horizon"),
    _int("shares"),
    _int("used"),
    _int("used_before"),
    _int("generation"),
    _int("generation_before"),
    _int("refunded_shares"),
    _text("state"),
    _int("valid_from"),
    _int("valid_until"),
    _int("home", optional=True),
    _text("last4"),
    _int("paid_fen"),
    _int("issued_at"),
    _int("version"),
    _int("has_reversals"),
    # Room in each page for the next state of its rows: most updates then touch no index.
    postgresql_with={"fillfactor": 70},
)
Index("vouchers_by_product", vouchers.c.merchant, vouchers.c.product, vouchers.c.voucher)

# Live and reserved codes of all generations up to each voucher's horizon: what a new secret must
# not collide with (design, section 6).
codes: Final = _table("codes", _key("code"), _text("voucher"), _int("generation"))

# `generation` is CARD_ROW for the row of an ID card, which stands for no code.
sealed: Final = _table(
    "sealed",
    _key("k", "bytes"),
    _bytes("record"),
    _text("voucher"),
    _int("generation"),
    _int("bucket"),
    _int("vault"),
)
Index("sealed_by_voucher", sealed.c.merchant, sealed.c.voucher, sealed.c.generation)
Index("sealed_by_bucket", sealed.c.merchant, sealed.c.bucket)

CARD_ROW: Final = -1

# Cards of a bulk import that wait to be sealed; the MD5 goes with the row (central.cards).
cards: Final = _table(
    "cards",
    _key("voucher", "text"),
    _text("md5"),
    _int("valid_from"),
    _int("taken_until", optional=True),  # by one of several processes (central.leasing)
)
Index("cards_in_order", cards.c.merchant, cards.c.valid_from, cards.c.voucher)

# What still has to be sealed. `urgent` is 0 for the current code, 1 for the next generation.
sealing: Final = _table(
    "sealing",
    _key("voucher", "text"),
    _key("generation"),
    _int("urgent"),
    _int("valid_from"),
    _int("issued_at"),
    _int("taken_until", optional=True),
)
_QUEUE: Final = ("merchant", "urgent", "valid_from", "voucher", "generation")
Index("sealing_in_order", *(sealing.c[name] for name in _QUEUE))
# How far all is sealed stands on every page of the feed: its oldest row, not the whole queue. In
# words of its own, or PostgreSQL would turn to it for other questions while it knows nothing.
SEALING_CURRENT: Final = text("urgent + 0 = 0")
Index(
    "sealing_oldest",
    sealing.c.merchant,
    sealing.c.issued_at,
    postgresql_where=SEALING_CURRENT,
    sqlite_where=SEALING_CURRENT,
)

refunds: Final = _table(
    "refunds",
    _key("refund", "text"),
    _text("order_id"),
    _text("voucher"),
    _text("state"),  # requested, withdrawn, paid
    _int("shares", optional=True),
    _int("amount_fen", optional=True),
    _int("requested_at"),
    _int("due_at"),
    _int("settled_at", optional=True),
)
Index("refunds_by_order", refunds.c.merchant, refunds.c.order_id)
Index("refunds_due", refunds.c.merchant, refunds.c.state, refunds.c.due_at)

# The feed by commit sequence (central.feed). `floor` is the lowest cursor that can still be served;
# `live` and `digest` (16 hex) sum up the state rows of the bucket for the terminals' checkpoint.
feed_heads: Final = _table(
    "feed_heads",
    _key("bucket"),
    _text("epoch"),
    _int("seq"),
    _int("floor"),
    _int("live"),
    _text("digest"),
)

feed: Final = _table(
    "feed", _key("bucket"), _key("seq"), _text("kind"), _text("ref"), _int("removed")
)

terminals: Final = _table(
    "terminals",
    _key("posid", "text"),
    _int("outlet"),
    _int("epoch"),
    _text("state"),  # active, fenced, revoked
    _bytes("sign_key"),
    _bytes("seal_key"),
    _int("enrolled_at"),
    _int("seen_at"),
    _text("instance", optional=True),
    _int("boot", optional=True),
    _int("missed_from"),
    _int("missed"),
    _text("about", optional=True),
    _int("revoked_at", optional=True),
    _int("wipe_at", optional=True),
)

streams: Final = _table(
    "streams",
    _key("posid", "text"),
    _key("epoch"),
    _int("outlet"),
    _bytes("public_key"),
    _text("previous_head", optional=True),
    _text("first_prev"),
    _int("seq"),
    _text("head"),
    _text("totals"),
    _int("forked_at", optional=True),
    _int("revoked_seq", optional=True),  # what comes after it is set aside
    _int("opened_at"),
    _int("entered_at"),
)

# Journal entries exactly as they came: bytes, because no engine changes those. `sig` is there for
# the entries whose signature was sent: the last one of each batch, whose chain covers the rest.
entries: Final = _table(
    "entries",
    _key("posid", "text"),
    _key("epoch"),
    _key("seq"),
    _text("hash"),
    _bytes("body"),
    _bytes("sig", optional=True),
    _text("kind"),
    _int("received_at"),
)

# Up to where each stream was checked, and its last good signature (central.signatures).
verified: Final = _table(
    "verified",
    _key("posid", "text"),
    _key("epoch"),
    _int("seq"),
    _int("covered"),
    _int("taken_until", optional=True),
)

# The other sides of forks, kept apart until a person decides (central.deciding). `prev` is the hash
# before the entry as it was sent; `branch` numbers the chains of a stream from 1; `decision` is the
# last one that was taken on the entry.
branches: Final = _table(
    "branches",
    _key("posid", "text"),
    _key("epoch"),
    _key("seq"),
    _key("hash", "text"),
    _text("prev"),
    _bytes("body"),
    _bytes("sig", optional=True),
    _int("branch"),
    _int("received_at"),
    _int("decision", optional=True),
)

decisions: Final = _table(
    "decisions",
    _key("posid", "text"),
    _key("epoch"),
    _key("decision"),
    _int("branch"),
    _text("way"),  # booked, dismissed
    _int("entries"),
    _int("up_to"),
    _text("decided_by"),
    _text("reason"),
    _int("at"),
)

# What the redeemed and reversed entries mean, and who bears them. What was booked from a branch has
# as its `epoch` the incarnation of that branch (central.forks). `received_at` never decreases
# within a terminal; `marks` are the flags known on arrival, `flags` those of the verdict; `barred`
# is a verdict given before booking; `verdict_seq` counts the changes of verdict per terminal.
bookings: Final = _table(
    "bookings",
    _key("posid", "text"),
    _key("epoch"),
    _key("seq"),
    _text("serial"),
    _text("kind"),
    _text("voucher"),
    _int("outlet"),
    _text("clerk"),
    _int("shares"),
    _int("generation"),
    _int("after"),
    _int("amount_fen"),
    _int("at"),
    _int("received_at"),
    _text("mode"),
    _text("credential"),
    _text("claim", optional=True),
    _text("marks"),
    _text("barred", optional=True),
    _text("verdict"),
    _text("flags"),
    _int("excess"),
    _text("others"),
    _text("reverses", optional=True),
    _text("settled", optional=True),
    _int("settled_at", optional=True),
    _int("verdict_seq"),
    _int("statement", optional=True),
)
Index("bookings_by_serial", bookings.c.merchant, bookings.c.serial)
Index("bookings_by_voucher", bookings.c.merchant, bookings.c.voucher)
Index("bookings_by_verdict", bookings.c.merchant, bookings.c.posid, bookings.c.verdict_seq)
Index("bookings_by_time", bookings.c.merchant, bookings.c.received_at)
# What waits for a person is counted at every look of a monitoring system, and is little.
_WAITS_FOR_A_PERSON: Final = text("verdict <> 'accepted' AND settled IS NULL")
Index(
    "bookings_open",
    bookings.c.merchant,
    bookings.c.verdict,
    sqlite_where=_WAITS_FOR_A_PERSON,
    postgresql_where=_WAITS_FOR_A_PERSON,
)

# By name: `verdicts:POSID` numbers a terminal's changes of verdict, MOVES those of bucket.
counters: Final = _table("counters", _key("name", "text"), _int("value"))
MOVES: Final = "moves"

# Clerks' notes on reversals, beside the journal so that they can be deleted: then `note` is empty.
notes: Final = _table("notes", _key("serial", "text"), _text("posid"), _text("note"), _int("at"))

enrol_codes: Final = _table(
    "enrol_codes",
    _key("name", "text"),
    _bytes("digest"),
    _text("posid"),
    _int("outlet"),
    _int("expires_at"),
    _int("tries"),
    _int("used_at", optional=True),
)

claims: Final = _table(
    "claims",
    _key("claim", "text"),
    _text("posid"),
    _int("epoch"),
    _text("voucher"),
    _int("generation"),
    _int("shares"),
    _text("state"),  # granted, used, released
    _int("head_seq"),
    _int("granted_at"),
    _int("expires_at"),
)
Index("claims_by_voucher", claims.c.merchant, claims.c.voucher, claims.c.state)
Index("claims_by_terminal", claims.c.merchant, claims.c.posid, claims.c.state)

alarms: Final = _table(
    "alarms",
    _key("alarm", "text"),
    _int("at"),
    _text("kind"),
    _text("posid", optional=True),
    _text("detail"),
)

jobs: Final = _table("jobs", _key("job", "text"), _int("ran_at"), _int("done"))
