"""The versions of the central database, in order; run by `central.setup` only."""
