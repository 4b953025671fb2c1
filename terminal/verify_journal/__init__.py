"""A verifier of exported journals that an auditor can run, read and carry away alone.

Responsible for: checking one export (`hexiao journal export`) against a public key and whatever
anchors are at hand: header, form, hash, signature, chain, numbering, totals, times. Not responsible
for: writing exports, or judging whether a redemption was right. Invariants: this folder imports
nothing else of ours and shares no code with the writer; of others it needs only `cryptography`;
nothing in a file makes it raise; copied somewhere else, it runs as
`python -m verify_journal FILE --key KEY`. What is checked, and what cannot be: docs/auditor.md.
"""

from .chain import Anchors
from .verdict import verify_file

__all__ = ["Anchors", "verify_file"]
