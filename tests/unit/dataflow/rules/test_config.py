"""Configuration of the rules, the registry behind the command line, and the shards."""

import pytest
from pydantic import ValidationError

from tokensense_otel.dataflow.rules import RulesConfig, RuleSet, entity_shard, rule_infos, rule_shard
from tokensense_otel.dataflow.rules.builtin.surges.spike import Spike


@pytest.mark.parametrize(
    ("override", "location"),
    [
        ({"SPIK": {"multiplier": 5}}, ("SPIK",)),
        ({"SPIKE": {"multipler": 5}}, ("SPIKE", "multipler")),
        ({"SPIKE": {"multiplier": 1}}, ("SPIKE", "multiplier")),
        ({"SPIKE": {"severity": "urgent"}}, ("SPIKE", "severity")),
        ({"SPIKE": 5}, ("SPIKE",)),
        ({"LONG_PROMPTS": {"window": "59s"}}, ("LONG_PROMPTS", "window")),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(override: dict[str, object], location: tuple[str, ...]) -> None:
    """Unknown rules and options and values out of range are errors that name them, in defaults and projects alike."""
    for build in (RulesConfig.model_validate, lambda each: RuleSet(projects={"p": each})):
        with pytest.raises(ValidationError) as error:
            build(override)
        assert error.value.errors()[0]["loc"] == location


def test_a_project_overrides_only_what_it_names() -> None:
    """A project starts from the install's own defaults, rule by rule and option by option."""
    rules = RuleSet(
        RulesConfig.model_validate({"SPIKE": {"multiplier": 4, "min_calls": 7}}),
        {"p": {"SPIKE": {"multiplier": 5}, "CACHE_WASTE": {"enabled": False}}},
    )

    mine, others = rules.in_force("default", "p"), rules.in_force("default", "q")
    assert (mine.SPIKE.multiplier, mine.SPIKE.min_calls, mine.CACHE_WASTE.enabled) == (5, 7, False)
    assert (others.SPIKE.multiplier, others.SPIKE.min_calls, others.CACHE_WASTE.enabled) == (4, 7, True)


def test_the_narrower_override_counts() -> None:
    """Option by option, a project's word counts more than its tenant's, and that more than the install's."""
    rules = RuleSet(
        RulesConfig.model_validate({"SPIKE": {"multiplier": 4, "min_calls": 7, "baseline_days": 5}}),
        projects={"p": {"SPIKE": {"multiplier": 6}}},
        tenants={"acme": {"SPIKE": {"multiplier": 5, "min_calls": 8}}},
    )

    def spike(tenant: str, project: str) -> tuple[float, int, int]:
        options = rules.in_force(tenant, project).of(Spike())
        return options.multiplier, options.min_calls, options.baseline_days

    assert spike("acme", "p") == (6, 8, 5)
    assert spike("acme", "q") == (5, 8, 5)
    assert spike("other", "p") == (6, 7, 5)
    assert spike("other", "q") == (4, 7, 5)


def test_the_registry_lists_what_can_be_configured() -> None:
    """Every rule has a section in the configuration, a sentence, thresholds that exist and a docstring per option."""
    infos = rule_infos()

    assert ["file", "custom", "plugins", *(info.name for info in infos)] == list(RulesConfig.model_fields)
    for info in infos:
        assert info.description.endswith(".")
        assert set(info.thresholds) <= set(info.defaults)
        assert RulesConfig.model_fields[info.name].annotation is info.config_type
        assert all(info.option_docs().values()), info.name


def test_the_defaults_are_the_product_s() -> None:
    """The thresholds of the rules' table, as they are out of the box."""
    defaults = {info.name: info.defaults for info in rule_infos()}

    def of(rule: str, *names: str) -> tuple[object, ...]:
        return tuple(defaults[rule][name] for name in names)

    assert of("MODEL_MISUSE", "severity", "min_calls", "max_output_tokens", "window") == ("high", 20, 100, "24h")
    assert of("MODEL_DOWNGRADE", "severity", "min_calls", "max_output_tokens") == ("high", 100, 100)
    assert of("LONG_PROMPTS", "severity", "min_calls", "max_input_tokens") == ("medium", 20, 2_000)
    assert of("CACHE_WASTE", "severity", "min_repeats", "window") == ("medium", 50, "24h")
    assert of("SPIKE", "severity", "multiplier", "baseline_days", "min_history_days", "min_calls") == (
        "low",
        3.0,
        7,
        3,
        100,
    )
    assert of("RAM_OVER_PROVISION", "severity", "max_utilisation", "min_samples", "min_span_s") == (
        "low",
        0.4,
        20,
        3_600.0,
    )


def test_shards_are_stable_and_spread() -> None:
    """A key has one shard in every process, names have one width, and many keys reach every shard."""
    assert rule_shard("default", "default", "checkout", 16) == "0014"
    assert entity_shard("default", "default", "container/web", 16) == "0001"
    assert {rule_shard("default", "default", f"team-{number}", 8) for number in range(200)} == {
        f"{number:04d}" for number in range(8)
    }
