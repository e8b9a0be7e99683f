"""What is read ahead for an agent holds up nothing that is read for another, and is bounded."""

from mode.utils.queues import FlowControlEvent

from streams.worker.faust_app import Buffer

SIZE = 10


class Fetching:
    """A partition whose fetching a buffer stops and resumes."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.told: list[str] = []

    def put(self, count: int) -> None:
        for _ in range(count):
            self.buffer.put_nowait_enhanced(
                "parcel", on_pressure_high=self._stop, on_pressure_drop=self._resume
            )

    def _stop(self) -> None:
        self.told.append("stop")

    def _resume(self) -> None:
        self.told.append("resume")


def test_what_was_fetched_goes_in_and_nothing_more_is_fetched_while_there_is_enough() -> None:
    buffer = Buffer(SIZE, flow_control=FlowControlEvent())
    fetching = Fetching(buffer)
    fetching.put(3 * SIZE)
    assert not buffer.full()
    assert fetching.told == ["stop"]
    while not buffer.empty():
        buffer.get_nowait()
    assert fetching.told == ["stop", "resume"]


def test_what_was_stopped_before_a_rebalance_is_not_resumed_after_it() -> None:
    flow = FlowControlEvent()
    buffer = Buffer(SIZE, flow_control=flow, clear_on_resume=True)
    before, after = Fetching(buffer), Fetching(buffer)
    before.put(SIZE)
    flow.resume()
    after.put(SIZE)
    while not buffer.empty():
        buffer.get_nowait()
    assert (before.told, after.told) == (["stop"], ["stop", "resume"])
