"""Limits of billing, each with its unit in its name."""

# The largest amount one posting may move: ten million credits. Far above any call or
# top-up, far below where sums of 64 bits end.
AMOUNT_MILLICREDITS_MAX = 10_000_000_000

# The seconds that one call is charged for at most; a clock that jumped is not charged.
CALL_SECONDS_MAX = 86_400

# A tariff's file.
TARIFF_BYTES_MAX = 4_000_000
TARIFF_ROWS_MAX = 50_000
PREFIX_DIGITS_MAX = 15  # E.164's longest number
DESTINATION_CHARS_MAX = 100
RATE_MILLICREDITS_PER_MINUTE_MAX = 1_000_000  # ten euros a minute

# Texts kept in the ledger; longer ones are an error, never cut.
ACCOUNT_ID_CHARS_MAX = 64
REFERENCE_CHARS_MAX = 64
MEMO_CHARS_MAX = 200
