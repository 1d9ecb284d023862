from tokensense_otel.service.restart import GiveUp, Restart, RestartPolicy


def test_delays_double_up_to_ten_seconds() -> None:
    """A part that keeps dying is started again after 0.2 s, then twice as long each time, never more than 10 s."""
    policy = RestartPolicy()
    decisions = [policy.died(now, 1) for now in range(8)]
    assert decisions == [Restart(delay) for delay in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0)]


def test_half_a_minute_of_health_resets_the_delay() -> None:
    """A part that was ready for 30 s starts over at 0.2 s; one that was ready for less does not."""
    policy = RestartPolicy()
    policy.died(0.0, 1)
    policy.ready(1.0)
    assert policy.died(30.99, -9) == Restart(0.4)
    policy.ready(40.0)
    assert policy.died(70.0, -9) == Restart(0.2)


def test_a_wrong_configuration_at_the_first_start_ends_everything() -> None:
    """Exit code 2 before the part was ever ready is for a person to mend: give up with that code."""
    assert RestartPolicy().died(0.0, 2) == GiveUp(2)


def test_a_wrong_configuration_after_a_start_that_worked_is_tried_again() -> None:
    """Exit code 2 of a part that once worked (a port taken while it was down) is not the end."""
    policy = RestartPolicy()
    policy.ready(0.0)
    assert policy.died(1.0, 2) == Restart(0.2)
    assert policy.died(2.0, 2) == Restart(0.4)


def test_any_other_death_at_the_first_start_is_tried_again() -> None:
    """Only exit code 2 means configuration: a crash, a signal or an unasked clean end is started again."""
    for code in (0, 1, -9, -15, None):
        assert RestartPolicy().died(0.0, code) == Restart(0.2)
