"""Fuzzing: what must hold whatever the bytes. See ``fuzz.run``."""
