"""The whole road: the real `openai` SDK, officially instrumented, until a person's webhook is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.provider import COMPLETION_TOKENS, PROMPT_TOKENS, provider
from tests.support.waiting import eventually
from tests.support.webhook import SECRET, webhook_receiver
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

PLAIN, STREAMED = 12, 8  # together the 20 calls that MODEL_MISUSE asks for


@contextmanager
def instrumented(endpoint: str) -> Iterator[None]:
    """The official instrumentation, exporting to `endpoint`, as a service of the team `checkout`."""
    tracing = TracerProvider(resource=Resource({"service.name": "cart", "tokensense.team": "checkout"}))
    tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=tracing)
    try:
        yield
    finally:
        instrumentor.uninstrument()
        tracing.shutdown()


def ask(base_url: str) -> None:
    """Ask gpt-4o for a yes or a no, twelve times whole and eight times streamed."""
    messages: list[ChatCompletionUserMessageParam] = [
        {"role": "user", "content": "Is 1 Main Street an address? Yes or no."}
    ]
    with OpenAI(base_url=base_url, api_key="sk-of-nobody", max_retries=0) as client:
        for _ in range(PLAIN):
            client.chat.completions.create(model="gpt-4o", messages=messages)
        for _ in range(STREAMED):
            stream = client.chat.completions.create(
                model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "yes"


def test_a_premium_model_asked_for_a_yes_reaches_the_webhook_with_its_numbers(tmp_path: Path) -> None:
    """Twenty real SDK calls to gpt-4o make one signed MODEL_MISUSE with the right calls, tokens, dollars and saving."""
    with webhook_receiver() as hook, provider() as base_url:
        ops = {"type": "webhook", "url": hook.url, "secret": SECRET, "allow_private": True}
        with Stack(tmp_path, {**FREE_PORTS, "exporters": {"ops": ops}}) as running:
            with instrumented(running.endpoints["grpc"]):
                ask(base_url)
            eventually(lambda: bool(hook.events), what="the insight at the webhook")
            assert running.stop() == 0
    (event,) = hook.events
    assert hook.refused == 0
    assert event["type"] == "insight.firing"
    insight = event["data"]
    assert (insight["rule"], insight["severity"]) == ("MODEL_MISUSE", "high")
    assert insight["scope"] == {"team": "checkout", "model": "gpt-4o-2024-08-06"}
    evidence = insight["evidence"]
    assert (PROMPT_TOKENS, COMPLETION_TOKENS) == (300, 4)
    assert evidence["observed"]["calls"] == 20
    assert float(evidence["observed"]["average_output_tokens"]) == 4
    # gpt-4o: $2.50 a million in, $10 out: 20 x (300 x 2.5 + 4 x 10) = 20 x 790 millionths of a dollar.
    assert evidence["spend_30d_usd"] == "0.0158"
    # gpt-4o-mini: $0.15 in, $0.60 out: 20 x (300 x 0.15 + 4 x 0.6) = 20 x 47.4 millionths; 0.0158 - 0.000948.
    assert insight["estimated_monthly_savings_usd"] == "0.014852"
