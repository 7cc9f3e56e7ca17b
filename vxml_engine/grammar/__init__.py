"""Grammars for keys: compiled to networks, matched as the keys come."""
