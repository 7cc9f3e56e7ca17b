"""Every limit of the telephony room, with its unit in its name.

Each one has a test that reaches it, and an answer that says which limit it was.
"""

from __future__ import annotations

from typing import Final

# Messages (RFC 3261 7, 18.1.1).
MESSAGE_BYTES_MAX: Final = 65_536
HEADER_FIELDS_MAX: Final = 256
URI_BYTES_MAX: Final = 2_048
CACHED_TEXT_CHARACTERS_MAX: Final = 256
DATAGRAM_REQUEST_BYTES_MAX: Final = 1_300

# Session descriptions (RFC 8866).
SDP_BYTES_MAX: Final = 16_384
SDP_LINES_MAX: Final = 512
SDP_MEDIA_MAX: Final = 16

# Calls.
LEGS_MAX: Final = 20_000
SERVER_TRANSACTIONS_MAX: Final = 100_000
FORKS_MAX: Final = 10
RING_S_MAX: Final = 180.0

# Digest (RFC 7616, RFC 8760).
NONCE_S_MAX: Final = 300.0
NONCES_MAX: Final = 20_000
DIGEST_FAILURES_MAX: Final = 10
DIGEST_FAILURES_WINDOW_S: Final = 60.0
DIGEST_SOURCES_MAX: Final = 10_000

# Registrar (RFC 3261 10.3).
REGISTRATION_S_MIN: Final = 60
REGISTRATION_S_MAX: Final = 3_600
CONTACTS_PER_USER_MAX: Final = 10
BINDINGS_MAX: Final = 50_000

# Connections and sockets.
CONNECTIONS_MAX: Final = 1_024
CONNECTION_IDLE_S_MAX: Final = 3_900.0
CONNECTION_PARTIAL_S_MAX: Final = 32.0
CONNECTION_BACKLOG_BYTES_MAX: Final = 1_048_576
CONNECT_S_MAX: Final = 3.0
DATAGRAMS_PER_WAKE_MAX: Final = 64
RECEIVE_BUFFER_BYTES: Final = 4_194_304
RESOLVED_NAMES_MAX: Final = 256
RESOLVED_NAME_S_MAX: Final = 60.0
