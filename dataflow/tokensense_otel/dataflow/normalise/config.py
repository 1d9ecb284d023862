"""Configuration of normalising: where dimensions are looked for, and what is done with prompts."""

from pydantic import Field

from tokensense_otel.core.config import Config


class AttributionConfig(Config):
    """Attribute keys per dimension, the first that has a value wins.

    The whole list is looked up on the span, then on its ancestors, then on the resource. A list that you give replaces
    the default one. Keys like `metadata.team` also find the member of a JSON object in `metadata`, and tags of the form
    `team:search` count as that dimension after every key.
    """

    team: tuple[str, ...] = (
        "tokensense.team",
        "team",
        "team.id",
        "team.name",
        "gen_ai.team",
        "metadata.user_api_key_team_alias",
        "metadata.user_api_key_team_id",
        "traceloop.association.properties.team",
        "traceloop.association.properties.team_id",
        "langfuse.trace.metadata.team",
        "metadata.team",
        "langsmith.metadata.team",
        "ai.telemetry.metadata.team",
        "ai.settings.context.team",
        "mlflow.traceTag.team",
        "owner",
        "department",
        "cost_center",
        "github.copilot.github.org",
        "service.namespace",
    )
    """Whose budget it is."""
    feature: tuple[str, ...] = (
        "tokensense.feature",
        "feature",
        "feature.name",
        "traceloop.association.properties.feature",
        "langfuse.trace.metadata.feature",
        "metadata.feature",
        "langsmith.metadata.feature",
        "ai.telemetry.metadata.feature",
        "langfuse.trace.name",
        "traceloop.workflow.name",
        "traceloop.entity.name",
        "gen_ai.workflow.name",
        "ai.telemetry.functionId",
        "resource.name",
        "langfuse.observation.prompt.name",
        "genkit:metadata:flow:name",
        "genkit:feature",
        "gen_ai.agent.name",
        "agent.name",
        "query_source",
        "gen_ai.prompt.name",
    )
    """What it was for."""
    environment: tuple[str, ...] = (
        "tokensense.environment",
        "langfuse.environment",
        "deployment.environment.name",
        "deployment.environment",
        "gen_ai.environment",
        "env",
    )
    """Production, staging and the like."""
    service: tuple[str, ...] = ("service.name", "gen_ai.application_name")
    """Which service called."""
    user: tuple[str, ...] = (
        "tokensense.user",
        "user.id",
        "enduser.id",
        "langfuse.user.id",
        "gen_ai.user",
        "gen_ai.request.user",
        "llm.user",
        "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId",
        "metadata.user_api_key_user_id",
        "metadata.user_api_key_end_user_id",
        "metadata.langfuse_user_id",
        "user.account_uuid",
    )
    """On whose behalf."""
    session: tuple[str, ...] = (
        "tokensense.session",
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
        "metadata.langfuse_session_id",
        "gcp.vertex.agent.session_id",
        "gen_ai.thread.id",
        "genkit:sessionId",
    )
    """Within which conversation."""
    agent: tuple[str, ...] = ("tokensense.agent", "gen_ai.agent.name", "agent_name", "agent.name", "gen_ai.agent.id")
    """By which agent."""


class NormaliseConfig(Config):
    attribution: AttributionConfig = AttributionConfig()
    """Which attributes name team, feature, environment, service, user, session and agent."""
    hash_prompts: bool = True
    """Make salted hashes of prompt text that arrives, so that repeats can be told; the text is dropped either way."""
    prefix_chars: int = Field(default=8_192, ge=64, le=65_536)
    """Characters from the start of a prompt that make its prefix hash. Prompts that agree in so many share at least the
    1,024 tokens or so that a provider's cache needs."""
    max_prompt_chars: int = Field(default=65_536, ge=1_024, le=1_048_576)
    """Characters of a prompt that are hashed; its length stands for the rest."""
    max_json_bytes: int = Field(default=262_144, ge=0, le=4_194_304)
    """The longest JSON string on a span in which a response id or usage is looked for."""
