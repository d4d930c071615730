"""Owns the sizes that nothing may exceed; the contracts in `proto/` state the same ones."""

from collections.abc import Sized

from windlass_core.domain.errors import InvalidField

MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ITEMS_PER_MESSAGE = 1_000
# Of what a worker says at once: as many leases as a message has room for, and fewer outcomes. Many empty
# ones fit into a message too, and would take up a hundred times its size.
MAX_LEASES_PER_MESSAGE = 120_000
MAX_OUTCOMES_PER_MESSAGE = 30_000
MAX_NAME_LENGTH = 200
MAX_ATTEMPTS = 1_000
MAX_SLOTS = 100_000
MAX_LABELS = 100
MAX_DESIRED_LABELS = 20
MAX_SLOT_POOLS = 20
# Of one attempt: so many members are put into a set, and taken out, when it is given out and ends.
MAX_SLOT_COST = 1_000
MAX_CRONS_PER_DEFINITION = 100
MAX_DURATION_MS = 366 * 24 * 3600 * 1000
# The end of the year 9999, beyond which calendars do not go.
MAX_MOMENT_MS = 253_402_300_799_999

# Of a run that fails more often the latest are kept.
MAX_FAILURES_PER_RUN = 100

MAX_LOG_LINES_PER_RUN = 1_000
MAX_LOG_BYTES_PER_RUN = 1024 * 1024
MAX_LOG_MESSAGE_BYTES = 16 * 1024
MAX_PROGRESS_MESSAGE = 1_000
MAX_CHUNKS_PER_RUN = 1_000
MAX_STREAM_BYTES_PER_RUN = 1024 * 1024
MAX_CHUNK_BYTES = 64 * 1024

# Crashes that a run survives when it was alone on the worker that died, and losses when it was not.
MAX_CRASHES = 3
MAX_LOSSES = 20

# How long after its execution timeout the engine itself ends an attempt that its worker did not end.
STOP_GRACE_MS = 5_000


def check_count(items: Sized, field: str) -> None:
    """Of one message: 1 to MAX_ITEMS_PER_MESSAGE. Raises InvalidField."""
    if not 1 <= len(items) <= MAX_ITEMS_PER_MESSAGE:
        raise InvalidField(f"{field}: expected 1 to {MAX_ITEMS_PER_MESSAGE}, got {len(items)}", field)
