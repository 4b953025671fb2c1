"""What every command is handed."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from central import service
from central.output import Output
from central.service import Central
from config.schema import Central as Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works with: the database URL, settings, and where to write."""

    url: str
    settings: Settings
    output: Output

    @contextmanager
    def central(self) -> Iterator[Central]:
        """The opened service, let go at the end."""
        central = service.open_central(self.url)
        try:
            yield central
        finally:
            central.database.close()


Command = Callable[[Context, argparse.Namespace], int]
