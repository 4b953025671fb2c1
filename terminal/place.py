"""Where a terminal is on this machine, by its settings.

Responsible for: finding the data directory. Not responsible for: opening anything. Invariant: cheap
to import, because every command needs it before it knows whether it runs here or in the holder.
"""

from msgspec import Struct

from config.loader import Loaded
from terminal.datadir import DataDir


class Place(Struct, frozen=True):
    """A terminal's settings and what follows from them."""

    loaded: Loaded

    @property
    def data(self) -> DataDir:
        """Its data directory."""
        paths = self.loaded.settings.paths
        witness = self.loaded.resolve(paths.witness) if paths.witness else None
        return DataDir.at(self.loaded.resolve(paths.data), witness)
