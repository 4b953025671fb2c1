"""The service's log on standard error.

Responsible for: its two forms, lines for people and JSON objects for machines. Not responsible for:
what is logged. Invariant: no logger of ours is ever given a code, last four digits, a phone number
or the body of a request.
"""

import logging
import time
from typing import Final

from pythonjsonlogger.json import JsonFormatter

FORMS: Final = ("text", "json")


def begin(form: str) -> None:
    """Log from INFO on in one of the `FORMS`; times are UTC."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == "json" else _text())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _text() -> logging.Formatter:
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    return formatter


def _json() -> logging.Formatter:
    return JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger", "timestamp": "at"},
        timestamp=True,
        json_ensure_ascii=False,
    )
