"""A terminal on real files: enrolled, with a replica as central would have written it.

The clock is the only fake (the lowest seam); everything else is the product's own.
"""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.replica_schema import SEALED_PUT, TABLES, sealed_row
from terminal import assembly, database, keys
from terminal import identity as identities
from terminal.assembly import Options
from terminal.clock import Reading
from terminal.counter import ShopCounter
from terminal.datadir import DataDir
from terminal.identity import Identity
from vouchers import codes, qr, sealed, times
from vouchers.ids import uuid7
from vouchers.policy import Policy
from vouchers.replica_form import REPLICA_SCHEMA
from vouchers.sealed import COST_LIGHT, Record, Vault
from vouchers.times import DAY_MS

NOW = times.parse_utc("2024-07-10T04:00:00.000Z")  # a Wednesday, noon in Shanghai
ZONE = "Asia/Shanghai"
HERE, THERE = 1, 2
TAG_KEY = b"t" * 32


@dataclass
class FakeClock:
    """A clock that moves when told to."""

    wall_ms: int = NOW
    boot: str = "boot-1"
    mono_ms: int = 1_000

    def read(self) -> Reading:
        return Reading(self.wall_ms, self.boot, self.mono_ms)

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms

    def reboot(self) -> None:
        self.boot, self.mono_ms = self.boot + "+", 500


@dataclass(frozen=True)
class Sample:
    """A voucher as central knows it."""

    voucher: str
    secret: bytes
    last4: str
    shares: int
    product: int
    home: int | None

    def code(self, generation: int = 0) -> str:
        return codes.derive(self.secret, generation)


@dataclass
class Shop:
    """The files of one terminal and what central put into its replica."""

    root: Path
    posid: str = "T1"
    outlet: int = HERE
    policy: Policy = field(default_factory=Policy)
    clock: FakeClock = field(default_factory=FakeClock)
    serial: int = 0

    def __post_init__(self) -> None:
        self.central_key = Ed25519PrivateKey.generate()
        self.vault = Vault(1, b"s" * 16, *COST_LIGHT)
        self.data = DataDir.at(self.root)
        self.data.ensure()
        _, self.key = keys.choose(self.data, "file")
        identities.save(self.data, self._identity(), self.key)
        self.database = apsw.Connection(str(self.data.replica))
        database.unlock_replica(self.database, self.key)
        self.database.pragma("journal_mode", "WAL")
        with self.database:
            for table in TABLES:
                self.database.execute(table)
            self.set_meta("schema", str(REPLICA_SCHEMA))
            self.set_meta("fresh_at", times.format_utc(NOW))
            self.set_meta("sealed_through", times.format_utc(NOW))
            self.database.execute("INSERT INTO outlet VALUES (1, 1, 'East Gate'), (2, 1, '西门')")
            self.database.execute("INSERT INTO bucket VALUES (1, '[1]')")
        self.product(1, outlets=[HERE])
        self.product(2, outlets=[HERE, THERE])

    def _identity(self) -> Identity:
        return Identity(
            url="",
            merchant=1,
            merchant_name="面包房 Bakery",
            posid=self.posid,
            epoch=1,
            outlet=self.outlet,
            outlet_name="East Gate",
            time_zone=ZONE,
            sign_key=Ed25519PrivateKey.generate().private_bytes_raw(),
            seal_key=secrets.token_bytes(32),
            server_keys={1: self.central_key.public_key().public_bytes_raw()},
            tag_keys={1: TAG_KEY},
            vault_epoch=1,
            vault_salt=self.vault.salt,
            vault_t=self.vault.t,
            vault_m=self.vault.m_kib,
            vault_p=self.vault.p,
            policy=self.policy,
        )

    def set_meta(self, key: str, value: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def product(
        self,
        product: int,
        *,
        outlets: list[int],
        weekdays: tuple[int, ...] = (),
        online_only: bool = False,
        name: str = "",
    ) -> None:
        self.database.execute(
            "INSERT OR REPLACE INTO product VALUES (?, 1, ?, ?, ?, ?, 1, 1000, NULL)",
            (
                product,
                name or f"Bread {product} 面包",
                json.dumps(outlets),
                json.dumps(weekdays),
                int(online_only),
            ),
        )

    def issue(
        self,
        shares: int = 1,
        *,
        product: int = 1,
        home: int | None = HERE,
        valid: tuple[int, int] = (NOW - DAY_MS, NOW + 30 * DAY_MS),
        state: str = "live",
        generation: int = 0,
        used: int = 0,
        rows: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> Sample:
        """Put a voucher into the replica, with sealed rows for the current and next generation."""
        self._next_secret(shares)
        sample = Sample(
            uuid7(NOW + self.serial, bytes(10)),
            self.serial.to_bytes(32),
            f"{self.serial:04d}",
            shares,
            product,
            home,
        )
        with self.database:
            for index in (generation, generation + 1) if rows is None else rows:
                key = sealed.stretch(sample.code(index), sample.last4, self.vault)
                record = Record(
                    sample.voucher,
                    sample.secret,
                    index,
                    codes.horizon(shares) if horizon is None else horizon,
                    shares,
                    product,
                    home,
                    shares * 1000,
                )
                self.database.execute(
                    SEALED_PUT,
                    sealed_row(key.row_key, sealed.seal(record, key, bytes(12)), sample.voucher, 1),
                )
            self.database.execute(
                "INSERT INTO state VALUES (?, 1, ?, ?, ?, ?, ?, ?, NULL, NULL, 1)",
                (sample.voucher, state, generation, used, *valid, home),
            )
        return sample

    def _next_secret(self, shares: int) -> None:
        """Central draws again when a code looks like a mobile number (decision 14)."""
        self.serial += 1
        while any(map(codes.looks_like_mobile, codes.reserved(self.serial.to_bytes(32), shares))):
            self.serial += 1

    def link_card(self, number: str, *samples: Sample, generation: int = 0) -> None:
        """Let a person's ID card open these vouchers, after those that it opens already."""
        person = sealed.stretch_id_card(number, self.vault)
        for sample in samples:
            index = 0
            while self._has_row(key := sealed.id_row(person, index)):
                index += 1
            record = Record(
                sample.voucher,
                sample.secret,
                generation,
                codes.horizon(sample.shares),
                sample.shares,
                sample.product,
                sample.home,
                sample.shares * 1000,
            )
            self.database.execute(
                SEALED_PUT,
                sealed_row(key.row_key, sealed.seal(record, key, bytes(12)), sample.voucher, 1),
            )

    def _has_row(self, key: sealed.SealKey) -> bool:
        query = "SELECT 1 FROM sealed WHERE k = ?"
        return self.database.execute(query, (key.row_key,)).fetchone() is not None

    def qr(self, sample: Sample, *, issued_ms: int = NOW + 1000) -> str:
        """The signed QR of a voucher, generation 0."""
        return qr.encode(
            qr.VoucherQr(
                kid=1,
                merchant=1,
                voucher=sample.voucher,
                code=sample.code(),
                shares=sample.shares,
                generation=0,
                product=sample.product,
                not_before_s=(NOW - DAY_MS) // 1000,
                expiry_s=(NOW + 30 * DAY_MS) // 1000,
                home=sample.home,
                issued_s=issued_ms // 1000,
                tag=qr.last4_tag(TAG_KEY, sample.voucher, sample.last4),
            ),
            self.central_key,
        )

    def open(self, **options: object) -> ShopCounter:
        """Open the terminal at the counter."""
        parts = assembly.open_checked(self.data, Options(), clock=self.clock)
        return ShopCounter(parts, **options)  # type: ignore[arg-type]


def close(counter: ShopCounter) -> None:
    """Close a terminal again."""
    counter.close()
    assembly.close(counter.parts)
