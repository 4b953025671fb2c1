"""What the use cases work with: the collaborators of one open terminal.

Responsible for: naming them in one value, and the facts that several use cases derive from them.
Not responsible for: opening or closing them (`terminal.assembly`). Invariant: everything in here
is used by one thread at a time; the counter serialises.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal import acknowledged
from terminal.clock import Estimate, EstimatedClock
from terminal.datadir import DataDir
from terminal.errors import OutOfService
from terminal.guesses import Guesses
from terminal.identity import Identity
from terminal.journal import Journal, Stamp
from terminal.replica import Product, Replica, StateRow
from terminal.tally import Tally
from terminal.witness import Witness
from vouchers import times
from vouchers.policy import Policy, offline_limits
from vouchers.rules import Moment, OfflineLimits, Posture
from vouchers.sealed import Record
from vouchers.standing import OwnUse, Standing

_MB = 1024 * 1024
DAY = timedelta(days=1)

FENCE = "fenced"
"""Where the journal remembers that an epoch was stopped."""


class Claimed(Struct, frozen=True):
    """What came of a claim: granted until `until_mono_ms` of this boot, refused with a machine
    reason, or, with an empty reason, no answer within the budget: then central may have granted it,
    until about `until_mono_ms`."""

    claim: str
    granted: bool
    until_mono_ms: int = 0
    reason: str = ""


class Wish(Struct, frozen=True):
    """What a claim is asked for."""

    voucher: str
    generation: int
    shares: int


class FoundRow(Struct, frozen=True):
    """A row that central found: the sealed record and where its voucher stands."""

    record: bytes
    standing: Standing
    reflects_epoch: int
    reflects_seq: int


class Online(Protocol):
    """Central, asked within a budget. None is no answer in time; nothing is ever raised."""

    def reachable(self) -> bool:
        """Whether central answered when it was last heard, and would be asked now."""
        ...

    def claim(self, claim: str, row_key: bytes, record: Record, shares: int) -> Claimed | None:
        """Ask for the right to redeem (design, section 7, Claims)."""
        ...

    def look_up(self, row_key: bytes) -> FoundRow | None:
        """Ask for a row that the replica does not hold."""
        ...


@dataclass(slots=True)
class Parts:
    """One open terminal."""

    data: DataDir
    identity: Identity
    journal: Journal
    replica: Replica
    clock: EstimatedClock
    witness: Witness
    guesses: Guesses
    server_keys: dict[int, Ed25519PublicKey]
    policy: Policy
    url_parameters: tuple[str, ...]
    issuer_patterns: tuple[str, ...] = ()
    min_free_mb: int = 0
    online: Online | None = None
    wiped: bool = False
    tally: Tally = field(default_factory=Tally)
    unused_claims: dict[Wish, Claimed] = field(default_factory=dict)
    _limits: tuple[Policy, OfflineLimits] | None = None
    _today: tuple[int, int, int] = (0, 0, 0)

    def confined_to(self) -> int | None:
        """The outlet whose vouchers alone are held here; None: those of every outlet."""
        return self.identity.outlet if self.policy.replica.scope == "outlet" else None

    def moment(self, estimate: Estimate) -> Moment:
        """When and where, for the rules."""
        return Moment(
            now=estimate.now,
            floor=estimate.floor,
            weekday=self._weekday(estimate.now),
            suspect=estimate.suspect,
            outlet=self.identity.outlet,
        )

    def _weekday(self, now: int) -> int:
        """The merchant's weekday, worked out once a day."""
        start, end, weekday = self._today
        if not start <= now < end:
            zone = self.identity.zone
            day = times.local_date(now, zone)
            start, end = times.day_start(day, zone), times.day_start(day + DAY, zone)
            weekday = day.isoweekday()
            self._today = start, end, weekday
        return weekday

    def stamp(self, estimate: Estimate, clerk: str) -> Stamp:
        """When and by whom, for the journal."""
        return Stamp(
            at=estimate.now,
            boot=estimate.reading.boot,
            mono_ms=estimate.reading.mono_ms,
            clock="suspect" if estimate.suspect else "ok",
            clerk=clerk,
        )

    def known_product(self, product: int) -> Product | None:
        """A product for its name: None also where the voucher list is missing or damaged, because
        what happened can be told without it.
        """
        if not self.replica.present:
            return None
        with suppress(OutOfService):
            return self.replica.product(product)
        return None

    def known_state(self, voucher: str) -> StateRow | None:
        """Central's word on a voucher, None also where the list is missing or damaged."""
        if not self.replica.present:
            return None
        with suppress(OutOfService):
            return self.replica.state(voucher)
        return None

    def own_uses(self, voucher: str, reflects_epoch: int, reflects_seq: int) -> list[OwnUse]:
        """This terminal's entries on a voucher that central's state does not include."""
        connection = self.journal.connection
        rows: list[Any] = connection.execute(
            "SELECT epoch, seq, generation, shares, after FROM entry WHERE voucher = ?",
            (voucher,),
        ).fetchall()
        rows.sort()  # mostly there is none, and SQLite makes ready to sort all the same
        return [
            OwnUse(*use)
            for epoch, seq, *use in rows
            if (epoch > reflects_epoch)
            or (epoch == reflects_epoch and seq > reflects_seq)
            or (epoch < reflects_epoch and seq > acknowledged.up_to(connection, epoch))
        ]

    def posture(self) -> Posture:
        """How far this terminal has gone without central since the last acknowledgement."""
        alone = self.tally.since(self.journal, self.journal.watermark("acknowledged"))
        fresh = self.replica.fresh_at()
        return Posture(
            limits=self._offline_limits(),
            redemptions_home=alone.home,
            redemptions_away=alone.away,
            value_fen=alone.value_fen,
            last_contact=max(fresh, int(self.journal.meta("last_contact") or 0)),
            replica_at=fresh,
            home_rights=self.policy.offline.tills == "shared_risk",
            override_until=int(self.journal.meta("override_until") or 0),
        )

    def _offline_limits(self) -> OfflineLimits:
        """The limits of the policy, which changes seldom and is replaced as a whole."""
        if self._limits is None or self._limits[0] is not self.policy:
            self._limits = self.policy, offline_limits(self.policy)
        return self._limits[1]

    def ensure_fit(self) -> None:
        """Refuse before a redemption rather than fail inside it. Raises OutOfService."""
        free = self.data.free_bytes() // _MB
        if free < self.min_free_mb:
            raise OutOfService(
                f"the disk is almost full ({free} MB left): free some space, then try again."
                " Nothing was booked",
                "disk_full",
                free=free,
            )
        self.ensure_trusted()

    def ensure_trusted(self) -> None:
        """Answer nobody where central has stopped this epoch. Raises OutOfService."""
        trouble = self.fence()
        if trouble in ("revoked", "wipe"):
            raise OutOfService(
                "head office has closed this terminal: nothing can be redeemed here, and it would"
                " not count. Use another terminal and call head office",
                "closed",
            )
        if trouble == "superseded":
            raise OutOfService(
                "this terminal was paired again since, on another disk or machine: nothing can be"
                " redeemed here. Use that one; what this one has not sent goes up by itself",
                "superseded",
            )
        if trouble is not None:
            raise OutOfService(
                f"central and this journal disagree ({trouble}): nothing can be redeemed here."
                " Ask head office for a pairing code and run `hexiao enrol URL CODE`",
                "fenced",
            )

    def fence(self) -> str | None:
        """Why the current epoch may redeem no more, if so (design, section 7, fork)."""
        text = self.journal.meta(FENCE)
        if text is None:
            return None
        fence = json.loads(text)
        return str(fence["trouble"]) if fence["epoch"] == self.identity.epoch else None
