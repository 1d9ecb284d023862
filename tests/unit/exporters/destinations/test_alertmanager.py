"""Alertmanager: one alert an episode, told apart by labels that do not change, open until it is over."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.exporters.support import an_insight
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import Context
from tokensense_otel.exporters.alertmanager.config import LABEL, AlertmanagerConfig
from tokensense_otel.exporters.alertmanager.exporter import AlertmanagerExporter
from tokensense_otel.exporters.alertmanager.payload import alert_labels, encode_alert
from tokensense_otel.exporters.testing import FaultServer
from tokensense_otel.exporters.testing.contract import client, insights


def test_the_labels_of_an_episode_never_change() -> None:
    """Firing, update and end are one alert, also where the words differ; another episode is another one."""
    labels = [alert_labels(an_insight(status, title=status.value)) for status in Status]
    assert labels[0] == labels[1] == labels[2]
    assert labels[0] == {
        "alertname": "SPIKE",
        "severity": "low",
        "tenant": "default",
        "project": "default",
        "team": "checkout",
        "episode": "ep_1",
    }
    assert alert_labels(an_insight(episode="ep_2")) != labels[0]


def test_an_open_alert_stays_open_and_an_end_ends_it() -> None:
    """`endsAt` is far ahead while it fires, and when it was over once it is."""
    firing = encode_alert(an_insight(), {}, 24)
    over = encode_alert(an_insight(Status.RESOLVED), {}, 24)
    assert (firing["startsAt"], firing["endsAt"]) == ("2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z")
    assert over["endsAt"] == "2026-01-01T12:15:00Z"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_labels_are_ones_that_prometheus_takes(insight: Insight) -> None:
    """Whatever the scope's names are: letters, digits and _; no empty value, which Alertmanager takes for none."""
    labels = alert_labels(insight)
    assert all(LABEL.fullmatch(name) for name in labels)
    assert all(labels.values())
    assert labels["alertname"] == insight.rule


def test_alerts_are_posted_as_a_list_below_the_address() -> None:
    """`/api/v2/alerts`, a list of one, with the added labels and headers."""

    async def send(url: str) -> None:
        keys = {
            "url": url,
            "labels": {"cluster": "eu-1"},
            "headers": {"Authorization": "Bearer t"},
            "allow_private": True,
        }
        exporter = AlertmanagerExporter(AlertmanagerConfig.model_validate(keys))
        async with client() as http:
            await exporter.start(Context("am", http))
            await exporter.send(exporter.render(an_insight()), None)

    with FaultServer() as server:
        asyncio.run(send(server.url("/prefix/")))
    [request] = server.requests
    [alert] = json.loads(request.body)
    assert request.path == "/prefix/api/v2/alerts"
    assert alert["labels"]["cluster"] == "eu-1"


def test_a_label_that_is_none_is_refused() -> None:
    """Prometheus' labels have letters, digits and _."""
    with pytest.raises(ValueError, match="'a-b' is no label"):
        AlertmanagerConfig.model_validate({"url": "http://am:9093", "labels": {"a-b": "c"}})
