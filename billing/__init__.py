"""Accounts, ledger, tariffs and holds."""
