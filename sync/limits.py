"""Every bound of the protocol in one place, each with its reason.

Responsible for: the numbers both sides hold each other to. Not responsible for: what an owner may
set; that is `policy`. Invariant: nothing here changes without a new `SCHEMA`.
"""

from typing import Final

SCHEMA: Final = 1
"""The contract spoken here; central serves this one and the one before."""

SCHEMAS_SERVED: Final = (SCHEMA,)
"""What central answers to. Schema 1 has no predecessor."""

BATCH_ENTRIES_MAX: Final = 1_000
"""Entries in one batch: 37,000 a second were measured at 500; above 1,000 only latency grows."""

BATCH_BYTES_MAX: Final = 1 << 20
"""A batch body before compression: 1,000 entries of the usual 700 bytes, with room."""

ENTRY_BYTES_MAX: Final = 64 * 1024
"""One body: ours have under 1 KiB; anything longer did not come from a journal."""

REQUEST_BYTES_MAX: Final = BATCH_BYTES_MAX
"""Any request body after decompression, so that a small upload cannot unfold without end."""

SMALL_REQUEST_BYTES_MAX: Final = 16 * 1024
"""Requests that are not batches: enrolment, hello, claims, look-ups."""

ANSWER_BYTES_MAX: Final = 16 << 20
"""Any answer after decompression: a full feed page has under 3 MiB."""

HELD_PAGE_BYTES_MAX: Final = 4 << 20
"""Bodies on a page of a terminal's own journal: any batch ended within 1 MiB, so this much holds
the end of one, which is signed."""

SNAPSHOT_BYTES_MAX: Final = 16 << 30
"""A snapshot file: 10 million rows have 1.2 GB; more than ten times that is a mistake."""

FEED_ITEMS_MAX: Final = 5_000
"""Items on one page: one transaction of the replica of at most about 200 ms."""

FEED_WAIT_S_MAX: Final = 25
"""Long-poll: below the 30 s after which common proxies cut an idle connection."""

VERDICTS_MAX: Final = 1_000
"""Verdicts in one answer."""

BUCKETS_MAX: Final = 1_000
"""Buckets of one terminal: one per distinct set of outlets."""

NOTES_MAX: Final = 100
"""Clerks' notes in one request: they stay within a small request, in any language."""

NOTES_BYTES_MAX: Final = 64 * 1024
"""A request of notes: 100 of 80 characters, each character as long as JSON can make it."""

SKEW_S_MAX: Final = 300
"""A request's `created` may be off by this much; beyond it a server nonce is asked for."""

SERVER_NONCE_S: Final = 120
"""How long central's own nonce may be used: one round trip on a bad line, many times over."""

REPLAY_MEMORY_S: Final = 2 * SKEW_S_MAX + SERVER_NONCE_S
"""How long central remembers nonces: longer than any signature can still be within the skew."""

NONCE_BYTES: Final = 16
"""Random bytes in a nonce: no two of one terminal ever meet."""

NONCE_CHARS_MAX: Final = 64
"""A nonce as text; ours has 22 characters."""

PAIRING_MINUTES: Final = 15
"""Validity of a pairing code (design, section 7)."""

PAIRING_TRIES_MAX: Final = 5
"""Wrong tries before a pairing code is spent."""

CLAIM_S: Final = 120
"""How long a granted claim holds the shares (design, section 7)."""

LOOKUP_MISSES_MAX: Final = 20
"""Misses of one terminal within `LOOKUP_MISS_WINDOW_S` before central answers 429 (decision 13)."""

LOOKUP_MISS_WINDOW_S: Final = 600
"""The window of `LOOKUP_MISSES_MAX`: 10 minutes."""

SAFE_INTEGER_MAX: Final = 2**53 - 1
"""Largest integer every JSON reader keeps exact."""
