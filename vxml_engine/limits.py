"""Every limit of the VoiceXML engine, with its unit in its name.

A document is somebody else's program: each of these bounds what one document, one script, one
grammar or one session may cost, and what is reached is said in the error.  A *turn* is what a
session does between two inputs of the caller.
"""

from typing import Final

# Documents
DOCUMENT_BYTES_MAX: Final = 1 << 20
DOCUMENT_DEPTH_MAX: Final = 100
DOCUMENT_ELEMENTS_MAX: Final = 20_000
PROBLEMS_MAX: Final = 100
NAMES_CACHED_MAX: Final = 4_096
# Among how many words the nearest to a wrong one is looked for.
WORDS_COMPARED_MAX: Final = 1_000

# What is kept compiled between sessions
DOCUMENTS_CACHED_MAX: Final = 512
DOCUMENTS_CACHED_BYTES_MAX: Final = 32 << 20
GRAMMARS_CACHED_MAX: Final = 512

# Grammars and the caller's keys
GRAMMAR_BYTES_MAX: Final = 256 << 10
GRAMMAR_NODES_MAX: Final = 20_000
GRAMMAR_REPEAT_MAX: Final = 1_000
GRAMMAR_PLACES_MAX: Final = 200_000
GRAMMAR_PARENTHESES_MAX: Final = 50
GRAMMARS_LINKED_MAX: Final = 50
KEYS_MAX: Final = 128
UTTERANCE_WORDS_MAX: Final = 200

# ECMAScript
SCRIPT_BYTES_MAX: Final = 512 << 10
SCRIPT_CPU_MS_MAX: Final = 250
SCRIPT_TURN_MS_MAX: Final = 1_000
SCRIPT_MEMORY_BYTES_MAX: Final = 8 << 20
SCRIPT_STACK_BYTES_MAX: Final = 256 << 10
SCRIPT_VALUE_CHARS_MAX: Final = 64 << 10
SCRIPT_CHECKED_CHARS_MAX: Final = 128 << 10

# One turn of a session
STEPS_PER_TURN_MAX: Final = 10_000
TRANSITIONS_PER_TURN_MAX: Final = 200
FETCHES_PER_TURN_MAX: Final = 50
PROMPTS_QUEUED_MAX: Final = 200
PROMPT_CHARS_MAX: Final = 32 << 10

# A journal, before it is packed
JOURNAL_BYTES_MAX: Final = 16 << 20
JOURNAL_STEPS_MAX: Final = 20_000

# One session
SUBDIALOG_DEPTH_MAX: Final = 8
URL_CHARS_MAX: Final = 8_192
SUBMIT_CHARS_MAX: Final = 64 << 10
