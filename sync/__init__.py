"""What two machines say to each other: terminal and central.

Responsible for: the wire types of `/v1`, who signs what and how it is checked, the sender of the
journal and the receiver of the feed as pure state machines, the one HTTP client, and the round
that ties them to a terminal's files through ports. Not responsible for: judging a redemption
(`vouchers`), storing anything (the terminal and central do), or serving HTTP (central does).
Invariants: only `transport` opens a connection; everything else takes values and returns values.
"""
