"""A new signing key: told to terminals first, used later, believed through the one before."""

import json
import secrets
from dataclasses import replace

import pytest

import hexiao
from central import keys, schema, snapshot
from central.auth import LATELY_MS, RING_MS, Gate
from central.keys import Keyring
from central.service import Central
from sync import keyring, receiver, sealedbox, signing
from sync.errors import Garbled
from sync.feed import KeyPut
from tests.central.conftest import Pair, issue
from tests.central.test_replica import pull
from tests.central.till import Till
from vouchers import ids, qr, times


def ring(central: Central) -> Keyring:
    with central.read() as work:
        return keys.load(work)


def later(central: Central, ms: int) -> Central:
    moment = central.clock() + ms
    return replace(central, clock=lambda: moment)


def first_of(till: Till) -> dict[int, bytes]:
    first = till.enrolment.server_keys[0]
    return {first.kid: ids.unb64u(first.key)}


def test_a_new_key_is_told_at_once_and_used_after_a_week(central: Central, pair: Pair) -> None:
    till = pair("POS1")
    cursor = pull(till, 0)[-1].cursor
    kid, begins = keys.rotate(central)
    assert kid == 2 and abs(begins - central.clock() - 7 * times.DAY_MS) < 60_000
    (told,) = pull(till, 0, after=cursor)[-1].items
    assert isinstance(told, KeyPut) and told.by == 1
    assert keyring.adopt(first_of(till), [told]) == ring(central).sign_public
    week = later(central, 7 * times.DAY_MS + 60_000)
    assert (ring(central).sign_kid, ring(week).sign_kid) == (1, 2)
    assert (ring(central).tag_kid, ring(week).tag_kid) == (1, 2)


def test_what_a_new_key_signs_is_believed_after_hello(central: Central, pair: Pair) -> None:
    """Who missed the feed hears of all keys at hello, and of the tag's in a box of its own."""
    till = pair("POS1")
    keys.rotate(central, at_once=True)
    built, known = snapshot.current(central), first_of(till)
    signed = snapshot.manifest(built, ring(central))
    with pytest.raises(Garbled, match="unknown key 2"):
        receiver.check_manifest(signed, known)
    said = till.hello()
    believed = keyring.adopt(known, said.keys)
    receiver.check_manifest(signed, believed)
    tags = {
        one.kid: sealedbox.open_box(ids.unb64u(one.sealed), till.seal_key.private_bytes_raw())
        for one in said.k_tags
    }
    issued = issue(central)
    read = qr.decode(issued.qr, {kid: qr_key(key) for kid, key in believed.items()})
    assert read.kid == 2 and qr.tag_matches(read, tags[2], "1234")


def qr_key(raw: bytes) -> qr.Ed25519PublicKey:
    return qr.Ed25519PublicKey.from_public_bytes(raw)


def test_a_terminal_is_paired_after_a_rotation(central: Central, pair: Pair) -> None:
    """The code pins the first key; all others follow from it."""
    keys.rotate(central, at_once=True)
    till = pair("POS2")
    believed = keyring.adopt(first_of(till), till.enrolment.server_keys)
    assert believed == ring(central).sign_public and len(till.enrolment.k_tags) == 2


def test_a_running_process_takes_up_a_new_key(central: Central) -> None:
    now = [central.clock()]
    gate = Gate(replace(central, clock=lambda: now[0]))
    assert gate.ring.sign_kid == 1
    keys.rotate(central, at_once=True)
    assert gate.ring.sign_kid == 1
    now[0] += RING_MS + 1_000
    assert gate.ring.sign_kid == 2


def test_the_commands(
    central: Central, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> list[dict[str, object]]:
        assert hexiao.main(["central", "keys", *words, "--database", database_url, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert run("rotate")[0]["kid"] == 2
    assert run("rotate", "--now")[0]["kid"] == 3
    assert [(row["kid"], row["by"], row["signs"]) for row in run("list")] == [
        (1, None, False),
        (2, 1, False),
        (3, 2, True),
    ]


def test_the_gate_looks_again_at_all_terminals_at_once(central: Central, pair: Pair) -> None:
    """A terminal that was revoked elsewhere reads no longer than `LATELY_MS`."""
    till = pair("POS1")
    now = [central.clock()]
    gate = Gate(replace(central, clock=lambda: now[0]))

    def message() -> signing.Message:
        made = signing.Message("GET", "here", "/v1/feed?bucket=1", {}, b"")
        signer = signing.Signer(signing.key_id("POS1", 1), till.key)
        nonce = secrets.token_urlsafe(16)
        signing.sign(made, signer, created_s=now[0] // 1000, nonce=nonce)
        # As they come over the wire.
        return replace(made, headers={name.lower(): text for name, text in made.headers.items()})

    assert not gate.remembers(message())
    assert gate.called(message(), lately=True).terminal.state == "active"
    assert gate.remembers(message())
    with central.write() as work:
        work.connection.execute(schema.terminals.update().values(state="revoked"))
    assert gate.called(message(), lately=True).terminal.state == "active"
    now[0] += LATELY_MS
    assert not gate.remembers(message())
    gate.refresh()
    assert gate.remembers(message())
    assert gate.called(message(), lately=True).terminal.state == "revoked"
