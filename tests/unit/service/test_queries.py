import pytest

from tokensense_otel.core.insight import Status
from tokensense_otel.service.queries import InsightQuery, UsageQuery, insight_query, usage_query

NOW = 1_767_229_200 * 10**9  # 2026-01-01T01:00:00Z
HOUR = 1_767_225_600  # 2026-01-01T00:00:00Z


def test_no_filters_ask_for_everything_by_the_contract_s_groups() -> None:
    """Without filters usage is grouped as replay's rows are, over all time."""
    assert usage_query({}, NOW) == UsageQuery(None, None, ("tenant", "provider", "model", "operation", "team"))


def test_times_take_in_the_hours_they_touch() -> None:
    """Usage is kept by the hour: `since` goes back to the start of its hour, `until` keeps an hour begun before it."""
    query = usage_query({"since": "2026-01-01T00:59:59Z", "until": "2026-01-01T01:00:00.5Z"}, NOW)
    assert (query.since, query.until) == (HOUR, HOUR + 3601)


def test_groups_are_a_list_with_commas() -> None:
    """`group_by` takes dimensions in the order they are to be shown."""
    assert usage_query({"group_by": "team, model"}, NOW).group_by == ("team", "model")


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"group_by": "teem"}, "group_by: there is no dimension 'teem'; write team"),
        ({"group_by": ""}, "group_by: write each once, out of tenant, project, provider"),
        ({"group_by": "team,team"}, "group_by: write each once, out of"),
        ({"grop_by": "team"}, "there is no filter 'grop_by'; write group_by"),
        ({"since": "never"}, "since: 'never' is not a time; write"),
        ({"since": "1h", "until": "2h"}, "since is not before until; write an earlier since"),
    ],
)
def test_a_wrong_usage_filter_says_what_to_write(filters: dict[str, str], problem: str) -> None:
    """Each wrong filter is refused by name, with the nearest right one."""
    with pytest.raises(ValueError, match=problem):
        usage_query(filters, NOW)


def test_insight_filters_are_read() -> None:
    """Status, rule, since and limit narrow the insights."""
    query = insight_query({"status": "firing", "rule": "SPIKE", "since": "1h", "limit": "5"}, NOW)
    assert query == InsightQuery(since_ns=HOUR * 10**9, status=Status.FIRING, rule="SPIKE", limit=5)


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"status": "fired"}, "status: 'fired' is not known; write firing"),
        ({"limit": "0"}, "limit: '0' is not a count; write a number from 1 to 1000"),
        ({"limit": "1001"}, "limit: '1001' is not a count"),
        ({"limit": "²"}, "limit: '²' is not a count"),
    ],
)
def test_a_wrong_insight_filter_says_what_to_write(filters: dict[str, str], problem: str) -> None:
    """Each wrong filter is refused by name; both limits of `limit` are inside."""
    assert insight_query({"limit": "1"}, NOW).limit == 1
    assert insight_query({"limit": "1000"}, NOW).limit == 1000
    with pytest.raises(ValueError, match=problem):
        insight_query(filters, NOW)
