"""What can happen to the log."""

import logging

from tokensense_otel.core.events import Happening

APPENDED_BYTES = Happening("log_appended_bytes", "Bytes made durable on the log.")
COMMITS = Happening("log_commits", "Syncs of the disk that made appends durable.")
COMMIT_FAILED = Happening("log_commit_failed", "Commits the disk refused; their senders were asked to try again.")
DISK_FAILING = Happening(
    "log_disk_failing", "The disk began to refuse commits; nothing is accepted until it recovers.", level=logging.ERROR
)
WRITER_FAILED = Happening(
    "log_writer_failed",
    "A commit failed in a way nobody foresaw; its senders, if there were any, were asked to try again.",
    level=logging.ERROR,
)
DISK_RECOVERED = Happening("log_disk_recovered", "Commits work again.", level=logging.INFO)
FULL = Happening(
    "log_full",
    "The log reached max_bytes with requests that the dataflow has not read; nothing is accepted until it has.",
    level=logging.ERROR,
)
HAS_ROOM = Happening("log_has_room", "The log has room again.", level=logging.INFO)
FOLDER_LOST = Happening(
    "log_folder_lost",
    "The log's folder was deleted, moved or taken by another receiver; nothing is accepted until it is there again.",
    level=logging.ERROR,
)
FOLDER_MADE = Happening(
    "log_folder_made_again",
    "The log's folder had been deleted and was made again: what was not accounted is gone.",
    level=logging.ERROR,
)
NOT_TRIMMED = Happening(
    "log_not_trimmed",
    "A file that is accounted could not be deleted, or the note of how far that is not be written; nothing is lost.",
    labels=("partition",),
    level=logging.WARNING,
)
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
MISSING = Happening(
    "log_missing_bytes",
    "Bytes that were on the log and are not any more, though nobody had read them: files were deleted by hand.",
    labels=("partition",),
    level=logging.ERROR,
)
POSITION_BEYOND = Happening(
    "log_position_beyond_end",
    "Reading resumed from beyond the last entry: what was read there never became durable.",
    labels=("partition",),
    level=logging.WARNING,
)
