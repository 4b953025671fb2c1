"""What a voucher is and when it may be redeemed.

Responsible for: codes, sealed rows, signed QR, the decision at the counter, journal entries and
the booking of what arrived. Both the terminal and the central service call these functions.
Not responsible for: storing, sending, showing or printing anything. Nothing in this package reads
a clock, draws a random number, opens a file or a socket, or logs; callers hand such values in.
"""
