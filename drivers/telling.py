"""Calling somebody who asked to be told, from a device's thread.

Responsible for: keeping a device alive when a listener fails. Not responsible for: the listener.
The fault is logged by its kind only: its text could quote a slip or a code.
"""

import logging
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


def tell(callback: Callable[..., object], *told: object) -> None:
    """Call; whatever it raises ends here."""
    try:
        callback(*told)
    except Exception as fault:  # noqa: BLE001 - who is told must not end who works
        _LOG.error("a listener of a device failed: %s", type(fault).__name__)
