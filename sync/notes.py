"""Clerks' notes on their reversals, which go up beside the journal and can be taken back.

Responsible for: the body of `POST /notes` and its answer. Not responsible for: keeping notes.
Invariant: no journal entry ever holds one, so a note can be deleted everywhere.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from sync.limits import NOTES_MAX, SCHEMA
from sync.messages import decoded
from sync.shapes import Answer, Positive, Request
from vouchers.limits import NOTE_CHARS_MAX

Serial = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,32}_[0-9]{1,9}_[0-9]{8,}\Z", max_length=64)]


class Note(Request, frozen=True, kw_only=True):
    """What a clerk wrote beside the entry of that serial; empty: it was deleted."""

    serial: Serial
    note: Annotated[str, Meta(max_length=NOTE_CHARS_MAX)]


class NotesRequest(Request, frozen=True, kw_only=True):
    """`POST /notes`."""

    schema: Positive = SCHEMA
    notes: Annotated[tuple[Note, ...], Meta(min_length=1, max_length=NOTES_MAX)]


class NotesAnswer(Answer, frozen=True, kw_only=True):
    """Kept all, but `gone`: head office deleted those, and so should the terminal."""

    gone: tuple[str, ...] = ()


_REQUEST: Final = msgspec.json.Decoder(NotesRequest)
_ANSWER: Final = msgspec.json.Decoder(NotesAnswer)


def decode_notes_request(body: bytes) -> NotesRequest:
    """Raises `Garbled`."""
    return decoded(_REQUEST, body)


def decode_notes_answer(body: bytes) -> NotesAnswer:
    """Raises `Garbled`."""
    return decoded(_ANSWER, body)
