"""What several rules ask of a call: where it belongs, and how it ended."""

from typing import Final

from tokensense_otel.core.call import UNATTRIBUTED, Call, Task
from tokensense_otel.dataflow.normalise.task import TOOL_CALLED

CUT_SHORT: Final = frozenset(
    {
        # OpenAI Chat Completions, Mistral, Ollama, TGI, AI SDK: length. OpenAI Responses: incomplete_details.reason.
        "length",
        "max_output_tokens",
        # Anthropic's stop_reason (https://docs.claude.com/en/api/handling-stop-reasons), Bedrock Converse, Cohere and,
        # in capitals, Google's FinishReason.
        "max_tokens",
        "model_context_window_exceeded",
        # Mistral's context window, Amazon Titan, AI21 and older gateways.
        "model_length",
        "max_length",
        "max_tokens_reached",
        "token_limit",
        "truncated",
    }
)
"""Finish reasons that say that a limit of tokens ended the answer, in lower case as the normaliser gives them."""


def place_of(call: Call) -> tuple[str, str]:
    """(feature, service): the service only where no feature is named, so that one of the two is told."""
    where = call.dimensions
    return where.feature, "" if where.feature else where.service or UNATTRIBUTED


def cut_short(call: Call, at_least: int = 16) -> bool:
    """Whether a limit of tokens cut the answer off; `False` where nobody said how it ended.

    An answer that ended at a limit below `at_least` tokens was meant to: a yes or no, a probe.
    """
    if call.finish_reason not in CUT_SHORT:
        return False
    limit = call.tokens.output if call.max_output is None else call.max_output
    return limit is None or limit >= at_least


def asked_for_tool(call: Call) -> bool:
    """Whether the answer was the call of a tool, as far as anybody tells."""
    return bool(call.task & Task.TOOLS_CALLED) or call.finish_reason in TOOL_CALLED
