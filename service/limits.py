"""The limits of the service itself, each with its unit in its name."""

# Digits a caller may type before a script asks for them; more are dropped, the oldest kept.
TYPED_AHEAD_DIGITS_MAX = 64
# Entries of one call's timeline; the last one says that more were dropped.
CALL_EVENTS_MAX = 1_000
# How long a call waits for the ACK to its answer before its script begins without it.
ANSWER_CONFIRMED_S_MAX = 32.0
# How long a called party may ring where nobody said otherwise, and at most.
RING_S_DEFAULT = 30
RING_S_MAX = 180
# How long any call may last; a conference has a rule of its own (two hours from its start).
CALL_S_MAX = 4 * 3600
# Fetching for scripts: one document, script, grammar or sound.
FETCH_BYTES_MAX = 8 * 1024 * 1024
FETCH_REDIRECTS_MAX = 5
# Sounds fetched for prompts are asked for again after this long.
SOUND_FRESH_S = 60.0
SOUNDS_REMEMBERED_MAX = 1_000
# Addresses towards peers that are remembered (one look-up asks the kernel's routes).
PEER_ADDRESSES_REMEMBERED_MAX = 4_096
# Finished calls that stay in memory until they are stored.
CALLS_UNSTORED_MAX = 50_000
# Wrong PINs or unknown codes before the dial-in says goodbye.
DIAL_IN_TRIES_MAX = 3
