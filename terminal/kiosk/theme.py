"""The colours of the kiosk.

Responsible for: the palette. Not responsible for: where a colour is used (`kiosk.tcss`).
Invariants: flat blocks only; white on teal and on vermillion is 5.2 to 1, both stay apart for the
colour-blind (kiosk notes, B8); every colour has a nearest one among the sixteen of a console that
keeps good, bad and spent apart.
"""

from textual.theme import Theme

HEXIAO = Theme(
    name="hexiao",
    primary="#0B7A75",
    secondary="#1F4E79",
    warning="#F2B134",
    error="#C2410C",
    success="#0B7A75",
    accent="#F2B134",
    foreground="#F4F6F8",
    background="#0F1720",
    surface="#16212C",
    panel="#1E2B38",
    dark=True,
    variables={
        "night": "#0F1720",
        "bar": "#1B2733",
        "slate": "#22313F",
        "paper": "#F4F6F8",
        "mist": "#A9B8C6",
        "ink-dark": "#10161C",
        "teal": "#0B7A75",
        "teal-deep": "#075854",
        "vermillion": "#C2410C",
        "vermillion-deep": "#8F2F08",
        "amber": "#F2B134",
        "amber-deep": "#C98A12",
        "blue": "#1F4E79",
        "blue-deep": "#143556",
    },
)
