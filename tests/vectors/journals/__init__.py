"""Exported journals, good and broken, for anyone who writes a verifier."""
