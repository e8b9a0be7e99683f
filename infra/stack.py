"""The whole stack on this machine: which processes there are, and on which ports and folders.

    kafka ──▶ triton ──▶ predict
      ├─────▶ curate ──▶ sql                  (predict may be several)
      └─────▶ trainer (needs triton, too: it pushes)

`resolve` turns settings into the ones that really hold (free ports, absolute folders, the base
model's folder); `running` starts everything under one supervisor and stops it again. The resolved
settings stand in `settings.json` in the run folder, from where every process reads them.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from infra.catalogs.generate import generate
from infra.local.base_model import has_eyes
from infra.local.fetch import ensure_all, ensure_encoder, ensure_part, kafka_part
from infra.local.kafka import Kafka
from infra.local.ports import choose_port, free_port
from infra.local.process import ProcessSpec
from infra.local.settings import PORTS
from infra.local.state import ProcessState
from infra.local.supervisor import Supervisor
from infra.local.triton import Triton
from infra.machine import REPOSITORY
from infra.settings import ACTIVE, Settings, read_settings
from schemas.errors import ListuneError
from schemas.sources.json_schema import write_schemas
from serving.pictures.settings import LookingSettings
from serving.process.ready import READY_FILE
from streams.kafka.topics import ensure_topics, record_limit
from streams.sql.client import query

MODEL_REPOSITORY = REPOSITORY / "serving" / "model_repository"
TOPICS_S = 5.0


def ensure_parts(settings: Settings, console: Console) -> dict[str, Path]:
    """The folders of all parts that the settings need, fetched where they are not there yet.

    A picture encoder is among them where pictures are looked at, none is named, and the base is not
    known to have eyes of its own, which are used in any case. Raises PartError.
    """
    serving = settings.serving
    parts = ensure_all(settings.local, console)
    base = Path(serving.base_model or parts["base"])
    if serving.pictures and not serving.encoder and not has_eyes(base):
        parts["encoder"] = ensure_encoder(settings.local.cache_dir, console)
    return parts


def resolve(
    settings: Settings, run_dir: Path, parts: Mapping[str, Path], console: Console
) -> Settings:
    """The settings with ports that are free, absolute folders under `run_dir`, and the base model.

    Raises:
        PortTaken: a port is taken and `local.strict_ports` is set; the message names the holder.
    """
    run_dir = run_dir.absolute()
    settings = _with_free_ports(settings, console)
    local, heldout = settings.local, settings.trainer.heldout
    endpoint = settings.serving.endpoint
    encoder = settings.serving.encoder or str(parts.get("encoder", ""))
    return settings.changed(
        streams={
            "bootstrap_servers": f"127.0.0.1:{local.kafka_port}",
            "sql_port": local.sql_port,
            "sql_http_port": local.sql_http_port,
            "curate_health_port": local.curate_health_port,
            "predict_health_port": local.predict_health_port,
            "pool_dir": run_dir / "pool",
            "schema_path": _schema_file(settings, run_dir, console),
        },
        serving={
            "triton_url": f"127.0.0.1:{local.triton_grpc_port}",
            "base_model": settings.serving.base_model or str(parts["base"]),
            "encoder": str(Path(encoder).expanduser().absolute()) if encoder else "",
            "looking": _looking(settings.serving.looking, run_dir),
            "adapter_store": run_dir / "triton" / "adapters",
            # Not of the run: a budget is of the day, and the workers have another folder.
            "endpoint": endpoint.model_copy(update={"spend_file": endpoint.spend_file.absolute()}),
        },
        trainer={
            "health_port": local.trainer_health_port,
            "registry_dir": run_dir / "registry",
            "work_dir": run_dir / "rounds",
            "heldout": heldout.absolute() if heldout else None,
        },
    )


def specs(settings: Settings, run_dir: Path, parts: Mapping[str, Path]) -> list[ProcessSpec]:
    """The processes of the stack, in the order in which they start."""
    local = settings.local
    triton = Triton(
        parts["triton"],
        MODEL_REPOSITORY,
        run_dir / "triton",
        grpc_port=local.triton_grpc_port,
        metrics_port=local.triton_metrics_port,
        model=settings.serving.model_name,
        env={"LISTUNE_SERVING": settings.serving.model_dump_json()},
    )

    return [
        _kafka(settings, run_dir, parts["kafka"]),
        triton.spec(),
        worker_spec("curate", run_dir, ("kafka",), local.curate_health_port),
        *_predict_workers(local.predict_workers, run_dir, local.predict_health_port),
        worker_spec("trainer", run_dir, ("kafka", "triton"), local.trainer_health_port),
        worker_spec("sql", run_dir, ("curate",)),
    ]


@contextmanager
def running(
    settings: Settings, run_dir: Path, parts: Mapping[str, Path], console: Console
) -> Iterator[Supervisor]:
    """The stack, up and ready; all of it is stopped when the block ends, however it ends.

    Raises:
        SupervisorError: a process that does not come up, with the end of its log.
    """
    run_dir = run_dir.absolute()
    run_dir.mkdir(parents=True, exist_ok=True)
    write_settings(settings, run_dir)
    _activate(run_dir)
    shown = console.status("starting the stack")

    def say(name: str, state: ProcessState) -> None:
        shown.update(f"{name}: {state}")
        if state in ("ready", "pausing", "failed"):
            console.print(f"  {name:<8} {state}", highlight=False)

    supervisor = Supervisor(specs(settings, run_dir, parts), run_dir, on_change=say)
    with ExitStack() as ending:
        ending.callback(_deactivate, run_dir)
        with shown:
            ending.enter_context(supervisor)
        yield supervisor


@contextmanager
def broker_alone(run_dir: Path, console: Console) -> Iterator[Settings]:
    """The broker of a stack that is down, without the workers; its settings, with ports of now.

    Raises:
        ListuneError: no stack has been up in `run_dir`, or the broker does not come up.
    """
    run_dir = run_dir.absolute()
    written = run_dir / "settings.json"
    if not written.is_file():
        raise ListuneError(f"there is no {written}; a stack is made by `listune up`")
    settings = _with_free_ports(read_settings(written), console)
    broker_at = f"127.0.0.1:{settings.local.kafka_port}"
    settings = settings.changed(streams={"bootstrap_servers": broker_at})
    jars = ensure_part(kafka_part(), settings.local.cache_dir, console)
    with ExitStack() as ending:
        with console.status("starting the broker"):
            broker = Supervisor([_kafka(settings, run_dir, jars)], run_dir)
            ending.enter_context(broker)
        yield settings


def loop_status(settings: Settings) -> dict[str, object]:
    """The one row of the view `status`: what the loop waits for, and how full the pool is.

    Raises:
        SqlError: the SQL endpoint does not answer.
    """
    columns, rows = query(settings.streams, "FROM status")
    return dict(zip(columns, rows[0], strict=True))


def _looking(looking: LookingSettings, run_dir: Path) -> LookingSettings:
    """With absolute folders; what is seen is kept under `run_dir`, unless a place is named."""
    store = looking.store
    if store == LookingSettings().store:
        store = str(run_dir / "pictures")
    elif "://" not in store:
        store = str(Path(store).expanduser().absolute())
    root = looking.root and looking.root.expanduser().absolute()
    return looking.model_copy(update={"root": root, "store": store})


def _kafka(settings: Settings, run_dir: Path, jars: Path) -> ProcessSpec:
    """The broker; it is ready when it has our topics."""
    kafka = Kafka(
        jars,
        run_dir / "kafka",
        port=settings.local.kafka_port,
        controller_port=settings.local.kafka_controller_port,
        heap=settings.local.kafka_heap,
        max_message_bytes=record_limit(settings.streams),
    )

    def kafka_and_topics() -> bool:
        if not kafka.ready():
            return False
        # Asked by the supervisor's one thread: a broker that dies just now must not hold it up.
        ensure_topics(settings.streams, TOPICS_S)
        return True

    return kafka.spec(ready=kafka_and_topics)


def _with_free_ports(settings: Settings, console: Console) -> Settings:
    local = settings.local
    chosen: dict[str, int] = {}
    for name in PORTS:
        chosen[name] = choose_port(
            getattr(local, name),
            strict=local.strict_ports,
            avoid=list(chosen.values()),
            say=console.print,
        )
    return settings.changed(local=chosen)


def _schema_file(settings: Settings, run_dir: Path, console: Console) -> Path:
    """The category schemas' file; without one, those of the generated catalog."""
    path = settings.streams.schema_path
    if path.exists():
        return path.absolute()
    if path != type(settings.streams)().schema_path:
        raise ListuneError(f"streams.schema_path names {path}, which is no file; write it first")
    own = run_dir / "schema.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    schemas, _ = generate(settings.demo.seed, 0)
    write_schemas(own, schemas)
    console.print(f"No {path} here: the categories are the generated catalog's, in {own}")
    return own


def _predict_workers(count: int, run_dir: Path, health_port: int) -> Iterator[ProcessSpec]:
    """`predict`, `predict-2`, ..., each with a health port."""
    needs = ("kafka", "triton")
    yield worker_spec("predict", run_dir, needs, health_port)
    for number in range(2, count + 1):
        yield worker_spec("predict", run_dir, needs, free_port(), number)


def write_settings(settings: Settings, run_dir: Path) -> None:
    """Write what the workers of the stack in `run_dir` read when they start."""
    (run_dir / "settings.json").write_text(settings.model_dump_json(indent=1))


def worker_spec(
    kind: str,
    run_dir: Path,
    needs: tuple[str, ...],
    health_port: int | None = None,
    number: int = 1,
) -> ProcessSpec:
    """How a worker is run that takes its settings from `run_dir/settings.json`."""
    name = kind if number == 1 else f"{kind}-{number}"
    ready_file = run_dir / f"{name}.ready"
    chosen = ("--number", str(number), "--health-port", str(health_port)) if number > 1 else ()
    return ProcessSpec(
        name=name,
        command=(
            *(sys.executable, "-m", "infra.cli", "worker", kind),
            *("--settings", str(run_dir / "settings.json")),
            *chosen,
        ),
        env={
            READY_FILE: str(ready_file),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "PYTHONUNBUFFERED": "1",
        },
        cwd=REPOSITORY,
        needs=needs,
        ready=ready_file.exists,
        prepare=lambda: ready_file.unlink(missing_ok=True),
        ready_timeout_s=180.0,
        ports={"health": health_port} if health_port else {},
    )


def _activate(run_dir: Path) -> None:
    ACTIVE.parent.mkdir(parents=True, exist_ok=True)
    ACTIVE.unlink(missing_ok=True)
    ACTIVE.symlink_to(run_dir)


def _deactivate(run_dir: Path) -> None:
    """Forget the stack, unless another one is up by now."""
    with suppress(OSError):
        if ACTIVE.readlink() == run_dir:
            ACTIVE.unlink()
