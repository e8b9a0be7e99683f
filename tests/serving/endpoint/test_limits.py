"""Rate and circuit, on a clock that the test tells."""

from serving.endpoint.limits import CircuitBreaker, TokenBucket


def test_a_second_s_worth_may_come_at_once_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(2.0)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.4), bucket.take(100.5), bucket.take(100.6)] == [False, True, False]
    assert [bucket.take(500.0) for _ in range(3)] == [True, True, False]


def test_a_rate_below_one_a_second_lets_one_through_in_its_time() -> None:
    bucket = TokenBucket(0.1)
    assert [bucket.take(at) for at in (100.0, 105.0, 110.0, 119.0)] == [True, False, True, False]


def test_without_a_rate_there_is_no_limit() -> None:
    bucket = TokenBucket(0.0)
    assert all(bucket.take(1.0) for _ in range(1000))


def test_the_circuit_opens_after_so_many_failures_in_a_row() -> None:
    breaker = CircuitBreaker(failures_to_open=3, open_s=30.0)
    assert [breaker.failed(1.0), breaker.failed(2.0)] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(at) for at in (3.0, 4.0, 5.0)] == [False, False, True]
    assert not breaker.admits(34.9)


def opened() -> CircuitBreaker:
    """A circuit that is open from 0 s to 30 s."""
    breaker = CircuitBreaker(failures_to_open=1, open_s=30.0)
    breaker.begin()
    breaker.failed(0.0)
    return breaker


def test_after_the_pause_one_probe_goes_through_and_no_other() -> None:
    breaker = opened()
    assert breaker.admits(30.0)
    breaker.begin()
    assert not breaker.admits(31.0)


def test_a_probe_that_is_answered_closes_the_circuit() -> None:
    breaker = opened()
    breaker.begin()
    breaker.succeeded()
    assert breaker.admits(31.0)
    assert not breaker.is_open


def test_a_probe_that_fails_opens_it_for_another_pause() -> None:
    breaker = opened()
    breaker.begin()
    assert not breaker.failed(40.0)  # it was open before
    assert not breaker.admits(69.9)
    assert breaker.admits(70.0)
