"""Real-time audio: RTP, jitter buffer, codecs, mixing, prompts and DTMF."""
