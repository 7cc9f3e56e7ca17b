"""What goes wrong with money.

BillingError
  InsufficientCredit       the balance does not cover the amount: `available`, `needed`
  UnknownAccount           no such account in the ledger
  AccountExists            an account is opened a second time
  HoldError
    UnknownHold            no such hold
    HoldClosed             the hold has ended: names its state and the event
    IllegalHoldStep        the event is not legal in the hold's state: names both
  BadAmount                an amount that no posting may have
  TooLong                  a text beyond its limit
  TariffError
    BadTariff              a tariff's file: names the line and what is wrong with it
    NoTariff               no rate for a destination, or refused: no call is placed
"""


class BillingError(Exception):
    """The root of this room's errors."""


class InsufficientCredit(BillingError):
    """The balance does not cover the amount; both in millicredits."""

    def __init__(self, account_id: str, *, available: int, needed: int) -> None:
        super().__init__(
            f"account {account_id}: {needed} millicredits are needed, {available} are available; "
            "top it up or end other calls"
        )
        self.account_id = account_id
        self.available = available
        self.needed = needed


class UnknownAccount(BillingError):
    """The ledger has no such account."""


class AccountExists(BillingError):
    """The account is in the ledger already."""


class HoldError(BillingError):
    """A step of a hold that cannot be made."""


class UnknownHold(HoldError):
    """There is no such hold."""


class HoldClosed(HoldError):
    """The hold has ended, captured or released."""


class IllegalHoldStep(HoldError):
    """The event is not legal in the hold's state."""


class BadAmount(BillingError):
    """An amount that cannot be posted."""


class TooLong(BillingError):
    """A text beyond its limit."""


class TariffError(BillingError):
    """A tariff that cannot answer."""


class BadTariff(TariffError):
    """A tariff's file is not usable: `line` (from 1, the header's) and what is wrong."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"tariff, line {line}: {problem}")
        self.line = line
        self.problem = problem


class NoTariff(TariffError):
    """There is no rate for the destination; `refused` names it where the tariff refuses it."""

    def __init__(self, destination: str, refused: str = "") -> None:
        super().__init__(
            f"the tariff refuses calls to {destination!r} ({refused})"
            if refused
            else f"the tariff has no rate for {destination!r}, so it cannot be called"
        )
        self.destination = destination
        self.refused = refused
