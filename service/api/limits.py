"""Limits of the API, each with its unit in its name."""

# A request's body. A script of SOURCE_BYTES_MAX may triple when a form encodes it.
BODY_BYTES_MAX = 4 * 1024 * 1024
# How long a body may take to arrive, and a method to be done.
BODY_S_MAX = 20.0
METHOD_S_MAX = 30.0
# Parameters of one request, and the characters of one that is not a script.
PARAMETERS_MAX = 50
VALUE_CHARS_MAX = 300
# What is repeated back of a value that is refused.
SHOWN_CHARS_MAX = 60
REQUEST_ID_CHARS_MAX = 100
# How long a repeated request_id gets its first answer.
REPEATS_KEPT_S = 24 * 3600
# How often expired answers are deleted.
REPEATS_SWEPT_EVERY_S = 600.0
