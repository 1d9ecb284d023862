"""What can happen to the receiver. Signals are traces, metrics, logs; transports grpc, http.

Accepted and refused items are `otelcol_receiver_accepted_*` and `otelcol_receiver_refused_*` of the Collector, which
has a metric for each signal where this has a label.
"""

import logging

from tokensense_otel.core.events import Distribution, Happening, Level

ACCEPTED = Happening(
    "receiver_accepted_items",
    "Spans, data points and log records acknowledged and durable.",
    labels=("signal", "transport"),
)
REJECTED = Happening(
    "receiver_rejected_items", "Items refused for good within accepted requests.", labels=("signal", "transport")
)
REFUSED = Happening(
    "receiver_refused_items",
    "Items of sound requests that the log did not take; their senders were asked to try again.",
    labels=("signal", "transport"),
)
REQUEST_SECONDS = Distribution(
    "receiver_request_seconds",
    "From the whole request, or over HTTP from its header, to the answer. Outcomes are accepted, refused.",
    labels=("signal", "transport", "outcome"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
REQUESTS_REFUSED = Happening(
    "receiver_refused_requests",
    "Requests that were not accepted, by the kind of error.",
    labels=("signal", "transport", "reason"),
)
RECEIVED_BYTES = Happening(
    "receiver_received_bytes", "Bytes of request bodies, after decompression.", labels=("signal", "transport")
)
UNFORESEEN = Happening(
    "receiver_unforeseen_errors",
    "Requests that failed in a way nobody foresaw; their senders were asked to try again.",
    labels=("signal", "transport"),
    level=logging.ERROR,
)
ISSUER_UNREACHABLE = Happening(
    "receiver_issuer_unreachable",
    "The keys of the tokens' issuer cannot be read; those before stay, and it is tried again.",
    level=logging.WARNING,
)
CONNECTIONS_CLOSED = Happening(
    "receiver_connections_closed",
    "HTTP connections that were closed because a header or body was slow, or there were too many at work.",
    labels=("reason",),
)
STARTED = Happening("receiver_started", "The OTLP servers listen.", level=logging.INFO)
STOPPED = Happening("receiver_stopped", "The OTLP servers stopped; nothing is accepted any more.", level=logging.INFO)
CERTIFICATE_RENEWED = Happening(
    "receiver_certificate_renewed", "Certificates that changed are in use.", level=logging.INFO
)
CERTIFICATE_UNUSABLE = Happening(
    "receiver_certificate_unusable",
    "Certificates that changed cannot be used; the ones before stay.",
    level=logging.WARNING,
)
CERTIFICATE_ENDS_AT = Level(
    "receiver_certificate_ends_at_seconds",
    "Unix time at which the certificate in use, or one between it and its root, ends.",
    labels=("server",),
)
CERTIFICATE_ENDS_SOON = Happening(
    "receiver_certificate_ends_soon",
    "A certificate came into use that ends within two weeks.",
    labels=("server",),
    level=logging.WARNING,
)
CERTIFICATE_INVALID = Happening(
    "receiver_certificate_invalid",
    "A certificate came into use that has expired or is not valid yet: senders refuse it.",
    labels=("server",),
    level=logging.ERROR,
)
KEYS_RELOADED = Happening("receiver_keys_reloaded", "The keys' file changed and is in use.", level=logging.INFO)
KEYS_UNUSABLE = Happening(
    "receiver_keys_unusable",
    "The keys' file changed and cannot be used; the keys before stay.",
    level=logging.WARNING,
)
IN_FLIGHT_BYTES = Level("receiver_in_flight_bytes", "Bytes of requests that are in work, in whole MiB.", total=True)
