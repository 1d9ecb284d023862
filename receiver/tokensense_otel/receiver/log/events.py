"""What can happen to the log."""

import logging

from tokensense_otel.core.events import Happening, Level

APPENDED_BYTES = Happening("log_appended_bytes", "Bytes made durable on the log.")
COMMITS = Happening("log_commits", "Syncs of the disk that made appends durable.")
COMMIT_FAILED = Happening("log_commit_failed", "Commits the disk refused; their senders were asked to try again.")
DISK_FAILING = Happening(
    "log_disk_failing", "The disk began to refuse commits; nothing is accepted until it recovers.", level=logging.ERROR
)
WRITER_FAILED = Happening(
    "log_writer_failed",
    "A commit failed in a way nobody foresaw; its senders were asked to try again.",
    level=logging.ERROR,
)
DISK_RECOVERED = Happening("log_disk_recovered", "Commits work again.", level=logging.INFO)
FULL = Happening("log_full", "The log reached max_bytes; nothing is accepted until it is read.", level=logging.ERROR)
TAIL_CUT = Happening(
    "log_tail_cut",
    "An unfinished, never acknowledged write was cut off when the log was opened.",
    level=logging.WARNING,
)
CORRUPT = Happening(
    "log_corrupt_bytes",
    "Bytes passed over because they are no whole record: entries may be lost.",
    labels=("partition",),
    level=logging.ERROR,
)
POISON_ENTRY = Happening(
    "log_poison_entries",
    "Whole records passed over because they hold no entry.",
    labels=("partition",),
    level=logging.ERROR,
)
POSITION_TRIMMED = Happening(
    "log_position_trimmed",
    "Reading resumed from before the first entry that is still there.",
    labels=("partition",),
    level=logging.WARNING,
)
POSITION_BEYOND = Happening(
    "log_position_beyond_end",
    "Reading resumed from beyond the last entry: what was read there never became durable.",
    labels=("partition",),
    level=logging.WARNING,
)
DISK_BYTES = Level("log_disk_bytes", "Bytes that the log takes on disk.")
