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
# Fetching for scripts: one document, script, grammar or sound, packed and unpacked.
FETCH_BYTES_MAX = 8 * 1024 * 1024
# An answer's header: all of it, and how many fields.
FETCH_HEADER_BYTES_MAX = 64 * 1024
FETCH_HEADER_FIELDS_MAX = 200
# Answers of the kind "100 Continue" before the real one.
FETCH_INTERIM_ANSWERS_MAX = 16
# Parts a gzip body may be packed in, one after the other.
FETCH_GZIP_MEMBERS_MAX = 16
# What a script may send: fields and recordings together.
FETCH_SENT_BYTES_MAX = 16 * 1024 * 1024
FETCH_URL_CHARS_MAX = 8_192
FETCH_REDIRECTS_MAX = 5
# One fetch from its beginning to its last byte, whatever `fetchtimeout` says: waiting for
# its turn, looking up names, redirects and all.
FETCH_S_MAX = 120.0
# One attempt to connect, and how many of a name's addresses are tried.
FETCH_CONNECT_S_MAX = 5.0
FETCH_ADDRESSES_TRIED_MAX = 4
# Threads that look up names; the rest of the service never waits for these.
FETCH_LOOKUPS_AT_ONCE_MAX = 8
# Requests under way at once, and those that wait for their turn; one more fails.
FETCHES_AT_ONCE_MAX = 64
FETCHES_AT_ONCE_PER_CALL_MAX = 8
FETCHES_AT_ONCE_PER_HOST_MAX = 16
FETCHES_WAITING_MAX = 1_000
# Connections kept for the next request, and for how long.
FETCH_CONNECTIONS_IDLE_MAX = 32
FETCH_CONNECTION_IDLE_S_MAX = 15.0
# What is kept of answers: addresses, and variants (RFC 9111 4.1) of each. Their bytes are
# `fetch.cache_mib`.
CACHED_ADDRESSES_MAX = 4_096
CACHED_VARIANTS_MAX = 8
# How long an answer that does not say is fresh: a part of its time unchanged (RFC 9111 4.2.2).
CACHE_HEURISTIC_PART = 0.1
CACHE_HEURISTIC_S_MAX = 24 * 3600.0
# Addresses remembered as not to be shared by calls.
UNSHARED_ADDRESSES_MAX = 1_000
# Cookies that one call holds (RFC 6265 6.1), in all and for one domain; bytes of each.
COOKIES_MAX = 200
COOKIES_PER_DOMAIN_MAX = 50
COOKIE_BYTES_MAX = 4_096
# What messages and timelines show of an address.
URL_SHOWN_CHARS_MAX = 120
# Sounds of scripts, converted, on disk.
SOUND_FILES_BYTES_MAX = 512 * 1024 * 1024
# Recordings that one session keeps, and what all sessions' recordings take on the disk.
RECORDINGS_A_SESSION_MAX = 50
RECORDINGS_BYTES_MAX = 2 * 1024 * 1024 * 1024
# Addresses towards peers that are remembered (one look-up asks the kernel's routes).
PEER_ADDRESSES_REMEMBERED_MAX = 4_096
# Finished calls that stay in memory until they are stored.
CALLS_UNSTORED_MAX = 50_000
# Wrong PINs or unknown codes before the dial-in says goodbye.
DIAL_IN_TRIES_MAX = 3
