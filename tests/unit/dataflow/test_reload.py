"""Other rules while the dataflow runs: what was counted stays, what is new begins, what is gone is closed."""

from typing import Any

from tests.unit.dataflow.rules.traffic import CATALOGUE, HOUR, MINUTE, NOON, calls
from tokensense_otel.core.call import Call, Posting
from tokensense_otel.core.insight import Insight, Status, stable_id
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.rules.registry import RULES
from tokensense_otel.dataflow.stages import Evidence, RulesStage, Stages

CONFIG = DataflowConfig(attribution_wait_s=0)


def rules(*custom: dict[str, Any], **sections: dict[str, Any]) -> RuleSet:
    off: dict[str, Any] = {name: {"enabled": False} for name in RULES}
    return RuleSet(RulesConfig.model_validate(off | sections | {"custom": list(custom)}))


def many(above: int, **more: Any) -> dict[str, Any]:
    return {"name": "MANY", "metric": "calls", "window": "1h", "compare": {"above": above}, **more}


def give(stage: RulesStage, some: list[Call]) -> list[Insight]:
    return [insight for call in some for insight in stage.ingest(Evidence(call.end_ns, [Posting(1, call)]))]


def test_a_new_threshold_judges_what_was_counted_before() -> None:
    """Five calls are not above nine; with four as the threshold the sixth call, or the next look, tells."""
    stages = Stages(CONFIG, rules(many(9)), CATALOGUE)
    stage = stages.rules(None)
    assert give(stage, calls(5)) == []
    stages.reload(rules(many(4)))
    (insight,) = give(stage, calls(1, first=10, start=NOON + MINUTE))
    assert insight.evidence["observed"]["value"] == 6


def test_an_open_finding_stays_the_same_episode() -> None:
    """A threshold that moves while a finding is open neither closes it nor tells it again."""
    stages = Stages(CONFIG, rules(many(4)), CATALOGUE)
    stage = stages.rules(None)
    (fired,) = give(stage, calls(5))
    stages.reload(rules(many(3)))
    assert give(stage, calls(1, first=10, start=NOON + MINUTE)) == []
    stages.reload(rules(many(50)))
    told = give(stage, calls(1, first=20, start=NOON + 2 * MINUTE)) + stage.advance(NOON + HOUR - MINUTE)
    assert [(insight.status, insight.episode_id) for insight in told] == [(Status.RESOLVED, fired.episode_id)]


def test_a_changed_window_closes_what_was_open() -> None:
    """Counts of another window begin anew; the finding that was open is over when what is counted now does not hold."""
    stages = Stages(CONFIG, rules(many(4)), CATALOGUE)
    stage = stages.rules(None)
    (fired,) = give(stage, calls(5))
    stages.reload(rules(many(4, window="2h")))
    told = give(stage, calls(1, first=10, start=NOON + MINUTE)) + stage.advance(NOON + 30 * MINUTE)
    assert [(insight.status, insight.episode_id) for insight in told] == [(Status.RESOLVED, fired.episode_id)]
    assert told[0].evidence["observed"]["value"] == 1


def test_a_rule_that_is_gone_closes_what_it_said() -> None:
    """Taken out of the file, a rule written in YAML resolves its finding and tells nothing more."""
    stages = Stages(CONFIG, rules(many(4)), CATALOGUE)
    stage = stages.rules(None)
    (fired,) = give(stage, calls(5))
    stages.reload(rules())
    told = stage.advance(NOON + MINUTE) + stage.advance(NOON + 20 * MINUTE)
    assert [(insight.status, insight.episode_id) for insight in told] == [(Status.RESOLVED, fired.episode_id)]
    assert give(stage, calls(9, first=50, start=NOON + 30 * MINUTE)) == []


def test_a_new_rule_begins_with_what_comes() -> None:
    """A rule that is added counts from then on; one that was there keeps its counts."""
    stages = Stages(CONFIG, rules(many(9)), CATALOGUE)
    stage = stages.rules(None)
    assert give(stage, calls(5)) == []
    stages.reload(rules(many(9), many(4) | {"name": "NEW"}))
    told = give(stage, calls(5, first=10, start=NOON + MINUTE))
    assert [(insight.rule, insight.evidence["observed"]["value"]) for insight in told] == [("MANY", 10), ("NEW", 5)]


def test_a_rule_of_all_teams_may_come_later() -> None:
    """Calls go to the tenant's shard as soon as a rule of that level is there."""
    stages = Stages(CONFIG, rules(many(9)), CATALOGUE)
    stage = stages.tenant_rules(None)
    stages.reload(rules(many(1, group_by=["model"])))
    assert len(give(stage, calls(2))) == 1


def test_a_crash_after_a_reload_changes_nothing() -> None:
    """From a snapshot, with the rules that are in force by then, the same calls tell the same under the same ids."""
    stages = Stages(CONFIG, rules(many(9)), CATALOGUE)
    stage = stages.rules(None)
    give(stage, calls(5))
    after = rules(many(7))
    stages.reload(after)
    give(stage, calls(1, first=10, start=NOON + MINUTE))
    snapshot = stage.snapshot()
    later = calls(4, first=20, start=NOON + 2 * MINUTE)
    told = give(stage, later)
    again = give(Stages(CONFIG, after, CATALOGUE).rules(snapshot), later)
    assert [insight.rule for insight in told] == ["MANY"]
    assert again == told


def test_a_rule_that_went_while_nothing_ran_closes_what_it_said() -> None:
    """Started again without the rule, the dataflow ends its open finding once, under the id that the end would have."""
    stage = Stages(CONFIG, rules(many(4)), CATALOGUE).rules(None)
    (fired,) = give(stage, calls(5))
    again = Stages(CONFIG, rules(), CATALOGUE).rules(stage.snapshot())
    assert again.next_wake() == NOON  # at once
    (told,) = again.advance(NOON + MINUTE)
    assert (told.status, told.episode_id, told.rule, told.scope) == (
        Status.RESOLVED,
        fired.episode_id,
        "MANY",
        {"key": "checkout"},
    )
    assert again.advance(NOON + 2 * MINUTE) == []
    assert told.id == stable_id("in", fired.episode_id, Status.RESOLVED)
