"""`make env` does nothing the second time, and does a half-finished installation again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import bootstrap

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


class Machine:
    """The bootstrap on an environment aside, with the commands that it would have run."""

    def __init__(self, folder: Path) -> None:
        self.stamp = folder / "stamp"
        self.commands: list[tuple[str, ...]] = []
        self.fails_at: str | None = None

    def run(self, failure: str, *command: str) -> None:
        self.commands.append(command)
        if self.fails_at in command:
            sys.exit(failure)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("one==1\n")
    bench = tmp_path / "requirements-bench.txt"
    bench.write_text("peer==1\n")
    monkeypatch.setattr(bootstrap, "STAMP", machine.stamp)
    monkeypatch.setattr(bootstrap, "BENCH_STAMP", tmp_path / "bench-stamp")
    monkeypatch.setattr(bootstrap, "BENCH_REQUIREMENTS", bench)
    monkeypatch.setattr(bootstrap, "TRL_STAMP", tmp_path / "trl-stamp")
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", requirements)
    monkeypatch.setattr(bootstrap, "ROOM_MB", 1)
    monkeypatch.setattr(bootstrap, "_run", machine.run)
    monkeypatch.setattr(bootstrap, "_runs", lambda: True)
    return machine


def test_uv_comes_by_pip_and_installs_requirements_and_project_once(machine: Machine) -> None:
    bootstrap.main()
    assert [command[-1] for command in machine.commands] == [
        "uv",
        str(bootstrap.REQUIREMENTS),
        str(REPOSITORY),
    ]
    bootstrap.main()
    assert len(machine.commands) == 3


def test_changed_requirements_are_installed(machine: Machine) -> None:
    bootstrap.main()
    bootstrap.REQUIREMENTS.write_text("one==2\n")
    bootstrap.main()
    assert len(machine.commands) == 6


def test_the_benchmarks_peers_are_added_once(machine: Machine) -> None:
    bootstrap.add_bench()
    assert [command[-1] for command in machine.commands] == [str(bootstrap.BENCH_REQUIREMENTS)]
    bootstrap.add_bench()
    assert len(machine.commands) == 1


def test_trl_gets_an_environment_of_its_own_once(machine: Machine) -> None:
    bootstrap.make_trl()
    made, installed = machine.commands
    assert made[-1] == str(bootstrap.TRL_ENVIRONMENT)
    assert str(bootstrap.TRL_ENVIRONMENT / "bin" / "python") in installed
    assert installed[-1] == str(bootstrap.TRL_REQUIREMENTS)
    bootstrap.make_trl()
    assert len(machine.commands) == 2


def test_a_half_finished_installation_is_done_again(machine: Machine) -> None:
    bootstrap.main()
    bootstrap.REQUIREMENTS.write_text("one==2\n")
    machine.fails_at = "-r"
    with pytest.raises(SystemExit, match="uv could not install"):
        bootstrap.main()
    bootstrap.REQUIREMENTS.write_text("one==1\n")  # what was whole before may be half now
    machine.fails_at = None
    bootstrap.main()
    assert len(machine.commands) == 3 + 2 + 3


@pytest.mark.parametrize(
    ("what", "value", "sentence"),
    [
        ("sys.platform", "darwin", "Linux on x86-64 only"),
        ("infra.bootstrap.SUPPORTED", ((3, 9),), "install Python 3.11 or 3.12"),
        ("infra.bootstrap.ROOM_MB", 10**12, "free some and try again"),
    ],
)
def test_a_machine_that_will_not_do_is_told_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, what: str, value: object, sentence: str
) -> None:
    monkeypatch.setattr(what, value)
    with pytest.raises(SystemExit, match=sentence):
        bootstrap.main()
    assert machine.commands == []


def test_make_alone_explains_itself() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    [phony] = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    assert sorted(re.findall(r"^  make ([a-z-]+) +\S", said, re.M)) == sorted(phony.split())


def test_make_env_installs_nothing_once_it_is_made() -> None:
    if not bootstrap.STAMP.exists() or bootstrap.STAMP.read_text() != bootstrap._wanted():
        pytest.skip("this environment was not made by `make env`, or is of other requirements")
    made = bootstrap.STAMP.stat().st_mtime_ns
    subprocess.run(["make", "env"], cwd=REPOSITORY, check=True)
    assert bootstrap.STAMP.stat().st_mtime_ns == made
