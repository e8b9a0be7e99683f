"""Which process gets which tests: all of a file go to one, which sets up once what they share."""

from types import SimpleNamespace
from typing import Any

from xdist.remote import Producer

from tests.conftest import Dealing, dealt_with

FILES = ("tests/e2e/test_loop.py", "tests/infra/history/test_bootstrap.py", "tests/test_a.py")
TESTS = [f"{file}::test_{number}" for file in FILES for number in range(9)]


class Process:
    """A process of pytest-xdist that does what it is sent at once."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.sent: list[str] = []

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.sent += [TESTS[number] for number in numbers]

    def shutdown(self) -> None:
        self.shutting_down = True


def test_a_files_tests_go_to_one_process_in_the_order_of_the_collection() -> None:
    options = SimpleNamespace(loadscopereorder=False)
    config: Any = SimpleNamespace(option=options, getvalue=lambda _: ["popen", "popen"])
    dealing = Dealing(config, Producer("dealing", enabled=False))
    processes: list[Any] = [Process("one"), Process("other")]
    for process in processes:
        dealing.add_node(process)
        dealing.add_node_collection(process, TESTS)
    dealing.schedule()
    assert [process.sent for process in processes] == [TESTS[:9], TESTS[9:18]]
    for number in range(9):
        dealing.mark_test_complete(processes[1], 9 + number)
    assert processes[1].sent == TESTS[9:]


def test_the_files_of_a_folder_that_share_rounds_go_together() -> None:
    assert dealt_with("tests/infra/history/test_handover.py::test_x[a::b]") == dealt_with(TESTS[9])
    assert dealt_with("tests/infra/cli/test_app.py::test_x[a::b]") == "tests/infra/cli/test_app.py"
