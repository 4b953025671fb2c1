"""The English words of the counter: refusals. The phrases of the screen are in `words_en_screen`.

Responsible for: wording. Not responsible for: choosing, formatting or showing.
"""

from typing import Final

from terminal.words_en_screen import PHRASES
from terminal.words_shape import LanguageWords, ReasonWords, Variant
from vouchers.reasons import Reason


def _v(text: str, when: str = "") -> Variant:
    return Variant(text, when)


_CODES: Final = {
    Reason.MALFORMED: ReasonWords(
        "Not a voucher code",
        (
            _v("This is a mobile number, not a voucher code.", "mobile"),
            _v("This is a payment code, not a voucher code.", "payment"),
            _v("This is an ID number; it is not taken by hand or from a scanner.", "id_card"),
            _v("This is the barcode of goods, not a voucher code.", "goods"),
            _v("This is a web link without a voucher code.", "link"),
            _v("The last four digits of the mobile are exactly 4 digits.", "last4"),
            _v("Nothing was read.", "empty"),
            _v("A voucher code has 6 to 11 digits; this one has {digits}.", "length"),
            _v("A voucher code has 6 to 11 digits; this is too long or too short.", "length"),
            _v("A voucher code is made of digits only."),
        ),
        (
            _v("Ask for the code in the message about the purchase.", "mobile"),
            _v("Ask the customer to open the voucher, not the payment page.", "payment"),
            _v("Lay the card on the reader, if there is one, or ask for the code.", "id_card"),
            _v("Type the four digits again.", "last4"),
            _v("Scan the voucher, or type its code from the message."),
        ),
    ),
    Reason.MISTYPED: ReasonWords(
        "Code mistyped",
        (_v("One digit of this code is wrong: the check digit does not fit."),),
        (_v("Nothing was counted. Compare it digit by digit with the message, type it again."),),
    ),
    Reason.LOCKED: ReasonWords(
        "Locked",
        (
            _v("Too many wrong tries for this code. It is locked here until {until}.", "code"),
            _v("Too many tries with this ID card. It is locked here until {until}.", "card"),
            _v("Too many wrong tries. This terminal is locked until {until}.", "terminal"),
            _v("Too many wrong tries. Locked until {until}."),
            _v("Too many wrong tries. Locked for {minutes} minutes."),
            _v("Too many wrong tries."),
        ),
        (
            _v("Other vouchers can be redeemed. Call the supervisor if in doubt.", "code"),
            _v("Ask for the code in the message: it can be redeemed.", "card"),
            _v("Call the supervisor, or wait until the time is over."),
        ),
    ),
    Reason.UNKNOWN_OR_WRONG: ReasonWords(
        "No such voucher, or wrong last four",
        (
            _v("No voucher is known for this ID card.", "card"),
            _v("Wrong, or a voucher of another shop: this till only knows its own.", "elsewhere"),
            _v("The code and the last four digits of the mobile do not belong together."),
        ),
        (
            _v("Ask for the code in the message and the mobile that received it.", "card"),
            _v("Compare code and mobile once more. If right: wait for the network.", "elsewhere"),
            _v("Ask which mobile received the code. Compare both, then try once more."),
        ),
    ),
    Reason.VOIDED: ReasonWords(
        "Voucher void",
        (_v("The seller has made this voucher void."),),
        (_v("Do not hand anything over. The customer should contact the seller."),),
    ),
    Reason.REFUNDED: ReasonWords(
        "Already refunded",
        (_v("The customer got the money for this voucher back."),),
        (_v("Do not hand anything over. The customer can buy a new voucher."),),
    ),
    Reason.REFUNDING: ReasonWords(
        "Refund in progress",
        (_v("A refund was asked for. The voucher is frozen until it is decided."),),
        (_v("The customer can withdraw the refund in the order, then come back."),),
    ),
    Reason.REPLACED: ReasonWords(
        "Old code",
        (_v("Part of this voucher was redeemed, so a newer code took the place of this one."),),
        (_v("Ask for the newest message, or for the code on the last slip."),),
    ),
    Reason.USED_UP: ReasonWords(
        "Already used",
        (_v("All {shares} shares were redeemed."), _v("All shares were redeemed.")),
        (_v("Do not hand anything over. The history (F5) shows what was redeemed here."),),
    ),
}

_RULES: Final = {
    Reason.NOT_YET_VALID: ReasonWords(
        "Not valid yet",
        (_v("It can be redeemed from {from}."), _v("It cannot be redeemed yet.")),
        (_v("Ask the customer to come back then."),),
    ),
    Reason.EXPIRED: ReasonWords(
        "Expired",
        (_v("It was valid until {until}."), _v("It is past its validity.")),
        (_v("The customer can ask the seller for a refund or an extension."),),
    ),
    Reason.WRONG_OUTLET: ReasonWords(
        "Good, but not here",
        (
            _v("The voucher is good. It is redeemed at: {outlets}."),
            _v("The voucher is good, but not at this outlet."),
        ),
        (_v("Tell the customer where. Nothing was used up."),),
    ),
    Reason.WRONG_WEEKDAY: ReasonWords(
        "Not on this day",
        (_v("It is good on: {weekdays}."), _v("It is not good on this day of the week.")),
        (_v("Ask the customer to come back on one of these days."),),
    ),
    Reason.BAD_COUNT: ReasonWords(
        "Count not possible",
        (_v("Redeem at least 1 share and at most {left}."), _v("Redeem at least 1 share.")),
        (_v("Open the voucher again and enter the count."),),
    ),
    Reason.NOT_ENOUGH_LEFT: ReasonWords(
        "Not enough left",
        (_v("Only {left} left."), _v("Fewer shares are left than were asked for.")),
        (_v("Open the voucher again and redeem what is left."),),
    ),
    Reason.ONLINE_ONLY: ReasonWords(
        "Needs the network",
        (_v("This product is redeemed only while the terminal is online."),),
        (_v("Wait until the status line says online, then try again. Nothing was used up."),),
    ),
    Reason.NEEDS_NETWORK: ReasonWords(
        "Needs the network",
        (
            _v("Without the network, {left} more can be redeemed here.", "allowance"),
            _v("A newer redemption has not reached this terminal yet.", "unseen"),
            _v("Its next code must come from the service.", "horizon"),
            _v("This cannot be decided without the network."),
        ),
        (
            _v("Redeem all that is left at once, or wait until online.", "horizon"),
            _v("Wait until the status line says online, then try again. Nothing was used up."),
        ),
    ),
    Reason.IN_PROGRESS: ReasonWords(
        "In progress elsewhere",
        (_v("Another counter is redeeming this voucher right now."),),
        (_v("Wait two minutes and try again."),),
    ),
    Reason.OFFLINE_LIMIT: ReasonWords(
        "Offline limit reached",
        (
            _v("This terminal may redeem {limit} times without the network.", "count"),
            _v("This terminal may redeem {yuan} yuan without the network.", "value"),
            _v("This terminal may redeem for {limit} hours without the network.", "time"),
            _v("This terminal was without the network for too long."),
        ),
        (_v("Check the network cable or the router, then call the supervisor."),),
    ),
    Reason.REPLICA_TOO_OLD: ReasonWords(
        "Voucher data too old",
        (
            _v("The voucher data are older than {limit} hours."),
            _v("The voucher data are too old to be relied on."),
        ),
        (_v("Bring the terminal online. The status line counts down while it catches up."),),
    ),
    Reason.CLOCK_SUSPECT: ReasonWords(
        "Clock not sure",
        (_v("The clock of this terminal cannot be believed, and this is not its home outlet."),),
        (_v("Bring the terminal online: the clock sets itself."),),
    ),
}

_UNDO_AND_OPERATION: Final = {
    Reason.NOTHING_TO_REVERSE: ReasonWords(
        "Nothing to undo",
        (_v("There is no such redemption in this terminal."),),
        (_v("Choose the redemption in the history (F5)."),),
    ),
    Reason.REVERSAL_LATE: ReasonWords(
        "Too late to undo",
        (
            _v("A clerk may undo within {minutes} minutes.", "minutes"),
            _v("The shift of this redemption is closed.", "shift"),
            _v("This redemption stands in a closed payout statement.", "settled"),
            _v("The time to undo this redemption is over."),
        ),
        (
            _v("Ask the supervisor.", "minutes"),
            _v("Head office can still refund the order."),
        ),
    ),
    Reason.NOT_THIS_TERMINAL: ReasonWords(
        "Not from this terminal",
        (_v("This redemption was made at another terminal."),),
        (_v("Undo it there, or ask head office."),),
    ),
    Reason.REVERSAL_MISMATCH: ReasonWords(
        "Count does not fit",
        (
            _v("Exactly the {shares} shares that were redeemed can be undone."),
            _v("Only a whole redemption can be undone."),
        ),
        (_v("Undo it whole, then redeem the right count."),),
    ),
    Reason.BUSY: ReasonWords(
        "One moment",
        (_v("The terminal is still busy with something else."),),
        (_v("Nothing was done. Try again in a moment."),),
    ),
    Reason.OUTCOME_UNKNOWN: ReasonWords(
        "Outcome not known yet",
        (_v("It is not sure yet whether this was recorded."),),
        (_v("Do not redeem again. The terminal finds out by itself; look in the history (F5)."),),
    ),
    Reason.OUT_OF_SERVICE: ReasonWords(
        "Out of service",
        (_v("The terminal cannot redeem at the moment. Nothing was done."),),
        (_v("Try again. If it stays so, call the supervisor and run: hexiao doctor"),),
    ),
}

ENGLISH: Final = LanguageWords(
    reasons={**_CODES, **_RULES, **_UNDO_AND_OPERATION},
    phrases=PHRASES,
    weekdays=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    joiner=", ",
    sentence_gap=" ",
    clock_format="%H:%M",
    date_format="%Y-%m-%d %H:%M",
)
