"""VoiceMashup macros: data folders, expanded before interpretation."""
