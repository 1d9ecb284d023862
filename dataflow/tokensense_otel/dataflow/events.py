"""The dataflow's happenings."""

import logging

from tokensense_otel.core.events import Distribution, Happening, Level

ENTRY_UNREADABLE = Happening(
    "dataflow_entries_unreadable",
    "Log entries that are no OTLP protobuf; kept in the quarantine folder.",
    labels=("signal",),
    level=logging.ERROR,
)
ENTRY_FAILED = Happening(
    "dataflow_entries_failed",
    "Log entries on which normalising failed; kept in the quarantine folder.",
    labels=("signal",),
    level=logging.ERROR,
)
METER_SERIES_REFUSED = Happening(
    "dataflow_meter_series_refused",
    "Points of time series about calls beyond the limit of series; what they counted is not on the books.",
    level=logging.WARNING,
)
METER_POINTS_LATE = Happening(
    "dataflow_meter_points_late", "Points about calls that came after their interval was closed; not on the books."
)
SPANS_READ = Happening("dataflow_spans_read", "Spans read from the log.")
FLOW_STARTED = Happening("dataflow_started", "Starts of the dataflow.", level=logging.INFO)
FLOW_STOPPED = Happening("dataflow_stopped", "Clean stops of the dataflow.", level=logging.INFO)
RECOVERY_CLEANED = Happening(
    "dataflow_recovery_rows_removed",
    "Rows of an aborted epoch or a forgotten key removed from the recovery store before a start.",
    level=logging.INFO,
)
COMMITTED_AT = Level("dataflow_committed_at_seconds", "Unix time of the last recovery point that is durable.")
COMMIT_DELAY = Distribution(
    "dataflow_commit_delay_seconds",
    "From the reception of the oldest of the requests that are read together until they are on the books in the store.",
    buckets=(
        0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75,
        1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0,
    ),
)  # fmt: skip
