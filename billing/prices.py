"""The operator's own prices, beside the tariff of destinations."""

from dataclasses import dataclass

from billing.tariff import Rate


@dataclass(frozen=True)
class Prices:
    """Amounts in millicredits; the defaults are the service's published prices."""

    guest_per_minute: int = 8_000  # above the tariff, for a guest whom a conference calls
    participant_per_minute: int = 2_000  # earned, for each participant who dials in
    opening: int = 200_000  # a new account's credit

    def guest(self, rate: Rate) -> int:
        """Return the price a minute of a conference's call to a guest at `rate`."""
        return rate.millicredits_per_minute + self.guest_per_minute
