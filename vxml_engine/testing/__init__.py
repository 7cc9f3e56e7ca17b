"""Calls without a phone: a script is run against a caller's turns, in virtual time."""
