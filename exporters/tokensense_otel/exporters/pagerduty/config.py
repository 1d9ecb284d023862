"""PagerDuty's keys. An integration takes about 120 events a minute (PagerDuty, "Events API rate limits")."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tokensense_otel.core.config import Secret
from tokensense_otel.exporters.config import HttpExporterConfig, SecretUrl


def _checked(value: Secret) -> Secret:
    if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("it is empty or has white space in it; write the service's integration key")
    return value


class PagerDutyConfig(HttpExporterConfig):
    type: str = "pagerduty"

    routing_key: Annotated[Secret, AfterValidator(_checked)]
    """The integration key of an Events API v2 integration."""

    url: SecretUrl = SecretStr("https://events.pagerduty.com/v2/enqueue")
    """`https://events.eu.pagerduty.com/v2/enqueue` for accounts in the EU."""

    min_interval_s: float = Field(default=0.5, ge=0)
    max_age_s: float = Field(default=21_600.0, gt=0)
