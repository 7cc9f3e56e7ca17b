"""VoiceXML 2.1: documents in, effects out."""
