"""CORS: which web pages may send from a browser (OTLP checklist 96). Starlette knows how; this knows our names.

A preflight is answered before anything is asked of its sender, because browsers show no key with it.
"""

import re
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from tokensense_otel.receiver.config import CorsConfig

_HEADERS: Final = ("authorization", "content-encoding", "content-type", "ts-api-key")
"""What OTLP's own senders need."""


def with_cors(application: ASGIApp, config: CorsConfig) -> ASGIApp:
    """The application, open to the pages of the configured origins; as it was where there are none."""
    if not config.allowed_origins:
        return application
    anyone = "*" in config.allowed_origins
    patterns = (re.escape(origin).replace(r"\*", "[^/]*") for origin in config.allowed_origins)
    return CORSMiddleware(
        application,
        allow_origins=("*",) if anyone else (),
        allow_origin_regex=None if anyone else "|".join(patterns),
        allow_methods=("POST",),
        allow_headers=(*_HEADERS, *(header.lower() for header in config.allowed_headers)),
        # sendBeacon, which the JavaScript SDK falls back to, always asks with credentials; browsers refuse `*` for it.
        allow_credentials=not anyone,
        expose_headers=("retry-after",),
        max_age=config.max_age_s,
    )
