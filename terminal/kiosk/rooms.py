"""From what is shown to the page that says it.

Responsible for: one page per stage. Not responsible for: what the page says (`pages`,
`pages_lists`). Invariant: every stage has a page; the type checker proves it.
"""

from typing import assert_never

from terminal.kiosk import pages, pages_lists
from terminal.kiosk.pages import Page, Setting
from terminal.kiosk.states import (
    Asking,
    Choosing,
    Committing,
    ConfirmUndo,
    Done,
    Fault,
    Help,
    History,
    Last4,
    Leaving,
    Looking,
    NoticeOpen,
    Ready,
    Reasons,
    Refused,
    Shown,
    Undone,
)


def page_of(shown: Shown, setting: Setting, rows_per_page: int) -> Page:
    """The page for a stage; `rows_per_page` is how many lines a list may take."""
    match shown.stage:
        case History() as stage:
            return pages_lists.history(stage, shown.tape, setting)
        case Choosing() as stage:
            return pages_lists.choosing(stage, setting)
        case Reasons() as stage:
            return pages_lists.reasons(stage, setting)
        case ConfirmUndo() as stage:
            return pages_lists.confirm_undo(stage, setting)
        case NoticeOpen() as stage:
            return pages_lists.notice(stage, setting)
        case Help() as stage:
            return pages_lists.help_page(stage, setting, rows_per_page)
        case stage:
            return _hot(stage, setting)


_Hot = Ready | Last4 | Looking | Asking | Committing | Done | Undone | Refused | Fault | Leaving


def _hot(stage: _Hot, setting: Setting) -> Page:
    match stage:
        case Ready() | Last4() | Looking() | Asking():
            return _question(stage, setting)
        case Committing():
            return pages.committing(stage, setting)
        case Done():
            return pages.done(stage, setting)
        case Undone():
            return pages.undone(stage, setting)
        case Refused():
            return pages.refused(stage, setting)
        case Fault():
            return pages.fault(stage, setting)
        case Leaving():
            return pages.leaving(stage, setting)
        case _:
            assert_never(stage)


def _question(stage: Ready | Last4 | Looking | Asking, setting: Setting) -> Page:
    match stage:
        case Ready():
            return pages.ready(stage, setting)
        case Last4():
            return pages.last4(stage, setting)
        case Looking():
            return pages.looking(stage, setting)
        case Asking():
            return pages.asking(stage, setting)
        case _:
            assert_never(stage)
