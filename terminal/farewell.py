"""Telling central that this terminal has destroyed what it held.

Responsible for: composing the last word while the key exists, and sending it when all is gone, as
often as it takes. Not responsible for: destroying (`wiping`), which never waits for this.
Invariants: what is kept to be sent holds no secret; once central has answered it is not kept.
"""

from sync import farewell
from sync.errors import Busy, NoContact, Refused
from sync.transport import HttpCentral, Terms
from terminal import identity as identities
from terminal import wiping
from terminal.clock import SystemClock
from terminal.datadir import DataDir
from terminal.parts import Parts
from terminal.wiping import LastWord
from vouchers import times

_ANSWER_S = 5.0
"""A person may be waiting: who starts a wiped terminal is told so after this long at most."""


def compose(parts: Parts, at: int, *, insecure_http: bool) -> LastWord:
    """What is to be said when this terminal is gone. `at` in ms UTC."""
    mine, head = parts.identity, parts.journal.head()
    moment = times.format_utc(at)
    wiped = farewell.Wiped(posid=mine.posid, epoch=mine.epoch, up_to=head.seq, at=moment)
    said = farewell.compose(wiped, identities.signer(mine).private)
    return LastWord(mine.url, said.text, said.sig, insecure_http)


def say(data: DataDir) -> bool:
    """Say it, if it is still to be said; whether nothing is left to say. Never raises."""
    word = wiping.last_word(data)
    if word is None:
        return True
    clock = SystemClock()
    terms = Terms(
        url=word.url,
        now_ms=lambda: clock.read().wall_ms,
        monotonic_ms=lambda: clock.read().mono_ms,
        nonce=str,
        insecure_http=word.insecure_http,
        answer_s=_ANSWER_S,
    )
    try:
        central = HttpCentral(terms, signer=None)
        try:
            central.wiped(farewell.WipedRequest(text=word.text, sig=word.sig))
        finally:
            central.close()
    except (NoContact, Busy, ValueError):
        return False
    except Refused:
        pass  # it will not be heard otherwise another time
    return wiping.heard(data)
