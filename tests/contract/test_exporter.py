"""The built-in destinations keep the contract that plugin authors test theirs against."""

import base64
from typing import Any

from tokensense_otel.exporters.alertmanager.exporter import AlertmanagerExporter
from tokensense_otel.exporters.console.exporter import ConsoleExporter
from tokensense_otel.exporters.email.exporter import EmailExporter
from tokensense_otel.exporters.file.exporter import FileExporter
from tokensense_otel.exporters.pagerduty.exporter import PagerDutyExporter
from tokensense_otel.exporters.slack.exporter import SlackExporter
from tokensense_otel.exporters.teams.exporter import TeamsExporter
from tokensense_otel.exporters.testing import ExporterContract, Fault, HttpExporterContract
from tokensense_otel.exporters.webhook.exporter import WebhookExporter


class TestConsole(ExporterContract):
    exporter = ConsoleExporter

    def section(self, url: str) -> dict[str, Any]:
        return {}


class TestWebhook(HttpExporterContract):
    exporter = WebhookExporter
    canary = base64.b64encode(b"canary-" * 4).decode().rstrip("=")  # a key that is one, 28 bytes

    def section(self, url: str) -> dict[str, Any]:
        secret = "whsec_" + base64.b64encode(b"canary-" * 4).decode()
        return {"url": url, "secret": secret, "headers": {"Authorization": f"Bearer {self.canary}"}}


class TestSlack(HttpExporterContract):
    exporter = SlackExporter
    max_bytes = 150_000

    def section(self, url: str) -> dict[str, Any]:
        return {"webhook_url": url.replace("/hook", f"/{self.canary}")}


class TestPagerDuty(HttpExporterContract):
    exporter = PagerDutyExporter
    success = Fault(202, body=b'{"status":"success","message":"Event processed","dedup_key":"x"}')

    def section(self, url: str) -> dict[str, Any]:
        return {"url": url, "routing_key": self.canary}


class TestCloudEvents(TestWebhook):
    def section(self, url: str) -> dict[str, Any]:
        return {**super().section(url), "format": "cloudevents"}


class TestAlertmanagerBody(TestWebhook):
    def section(self, url: str) -> dict[str, Any]:
        return {**super().section(url), "format": "alertmanager"}


class TestTeams(HttpExporterContract):
    exporter = TeamsExporter
    max_bytes = 28_000
    success = Fault(202)

    def section(self, url: str) -> dict[str, Any]:
        return {"webhook_url": url.replace("/hook", f"/{self.canary}")}


class TestAlertmanager(HttpExporterContract):
    exporter = AlertmanagerExporter

    def section(self, url: str) -> dict[str, Any]:
        return {"url": url, "headers": {"Authorization": f"Bearer {self.canary}"}}


class TestFile(ExporterContract):
    exporter = FileExporter

    def section(self, url: str) -> dict[str, Any]:
        return {"path": "insights.jsonl"}


class TestEmail(ExporterContract):
    exporter = EmailExporter

    def section(self, url: str) -> dict[str, Any]:
        account = {"username": "alerts", "password": self.canary}
        return {"host": "localhost", "sender": "a@example.com", "to": ["b@example.com"], **account}
