"""Tests of the central service over real SQLite files and real HTTP."""
