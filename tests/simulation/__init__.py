"""One process, one fake clock, seeded faults, the real product, an auditor: docs/simulation.md."""
