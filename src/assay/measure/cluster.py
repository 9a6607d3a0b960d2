"""Workers on a Ray cluster: one actor a device, with shards and artifacts that come through the object store.

An artifact is compiled once for each kind of processor or device in the cluster, on a machine of that kind, and its
bytes are checked against their hash where they are opened. The times of a worker's calls are brought to the clock of
the one who gathers: by the shortest of several questions for the time, good to half of how long that one took.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from assay import environment, store
from assay.backends import registry
from assay.errors import AssayError, BackendError, MissingExtraError
from assay.measure.clock import now
from assay.measure.handing_out import AHEAD, WorkerLostError
from assay.measure.worker import Answer, Content, Introduction, Task, Worker
from assay.records import BuildOptions, CompiledModel

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the run."""

Compile = Callable[[Mapping[str, bytes], CompiledModel, Path], tuple[CompiledModel, bytes]]
"""From a model's files by their places beside it to an artifact like another, made in a folder, and its bytes."""

_QUESTIONS = 5
_CONNECT_SECONDS = 5.0
_START_SECONDS = 300.0
_RESTARTS = 2
"""Workers on a living node, after the first one died."""


def require_ray() -> None:
    """Raises `MissingExtraError` where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("a cluster", "ray")


@dataclass
class _Hand:
    """An actor, its node and what brings its clock to ours."""

    actor: Any
    node: str
    device: str
    offset: float = 0.0


class Cluster:
    """A crew of actors; it is connected to Ray from its making until `close`."""

    def __init__(
        self, address: str, task: Task, compile_there: Compile, model: Callable[[], Mapping[str, bytes]]
    ) -> None:
        """`model` reads the model's files; it is called where a kind of processor needs an artifact of its own."""
        require_ray()
        self._task, self._compile_there, self._model = task, compile_there, model
        self._ours = _connect(address)
        self._hands: dict[str, _Hand] = {}
        self._of_ticket: dict[Hashable, _Hand] = {}
        self._artifacts: dict[str, tuple[CompiledModel, Any]] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    def gather(self) -> dict[str, Introduction]:
        """An actor for each device of the artifact's kind on each node that lives."""
        found = self._join(self._nodes())
        if not found:
            raise BackendError(
                f"no machine of the cluster has a device like {self._task.compiled.options.device}; start nodes that "
                "have, or compile for another --device"
            )
        return found

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        """The content goes through the object store, from which a worker on the same machine reads it in place."""
        import ray

        hand = self._hands[worker]
        with _translated():
            ticket: Hashable = hand.actor.run.remote(first, names, ray.put(content) if content is not None else None)
        self._of_ticket[ticket] = hand
        return ticket

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        """Those that are done or lost."""
        import ray

        with _translated():
            done, _ = ray.wait(list(tickets), num_returns=1)
        return tuple(done)

    def answer(self, ticket: Hashable) -> Answer:
        """The answer with its times on our clock."""
        hand = self._of_ticket.pop(ticket)
        found: Answer = _got(ticket)
        return found._replace(calls=found.calls + hand.offset)

    def replaced(self, worker: str) -> dict[str, Introduction]:
        """Another on the same node, where that lives still and was not the end of several."""
        hand = self._hands.pop(worker)
        place = hand.node, hand.device
        self._restarts[place] = self._restarts.get(place, 0) + 1
        node = next((one for one in self._nodes() if one["NodeID"] == hand.node), None)
        if node is None or self._restarts[place] > _RESTARTS:
            return {}
        try:
            return self._join([node], hand.device)
        except AssayError:
            # The run goes on with those that are left, and the record says of this one that it died.
            return {}

    def close(self) -> None:
        """Ends the actors, and the connection where it is ours."""
        import ray

        for hand in self._hands.values():
            with suppress(Exception):
                ray.kill(hand.actor)
        if self._ours:
            ray.shutdown()

    def _nodes(self) -> list[dict[str, Any]]:
        import ray

        with _translated():
            return sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: str(node["NodeID"]))

    def _join(self, nodes: Sequence[Mapping[str, Any]], device: str | None = None) -> dict[str, Introduction]:
        """The workers of nodes, warm: for every device of the artifact's kind, or for one.

        What takes its time (to look, to compile, to open and to warm up) is at work on all nodes at once. Raises
        `BackendError` where one is lost before it is ready.
        """
        import ray

        look = ray.remote(_seen)
        options = self._task.compiled.options
        seen = [look.options(**_on(node), num_cpus=0).remote(dict(registry.BACKENDS), options) for node in nodes]
        places: list[tuple[Mapping[str, Any], dict[str, str]]] = [
            (node, _ready(found, str(node["NodeManagerHostname"]))) for node, found in zip(nodes, seen, strict=True)
        ]
        self._compile_for(places)
        hands: dict[str, _Hand] = {}
        for node, targets in places:
            for name, target in targets.items():
                if device in (None, name):
                    hands[self._name(node, name)] = self._start(node, name, target, len(targets))
        told = {name: hand.actor.introduce.remote() for name, hand in hands.items()}
        introduced: dict[str, Introduction] = {name: _ready(ticket, name) for name, ticket in told.items()}
        for name, one in introduced.items():
            if one.decoders and one.decoders != environment.decoders():
                raise BackendError(
                    f"{name} decodes images by other versions than this machine ({one.decoders} against "
                    f"{environment.decoders()} of Pillow and simplejpeg), and so to other pixels; install the same, or "
                    "prepare the images first"
                )
        for name, hand in hands.items():
            hand.offset = _offset(hand.actor, name)
        self._hands |= hands
        return introduced

    def _compile_for(self, places: Sequence[tuple[Mapping[str, Any], dict[str, str]]]) -> None:
        """Puts an artifact for each kind of processor or device into the object store; each is made on such a node."""
        import ray

        compiled = self._task.compiled
        if compiled.target not in self._artifacts:
            self._artifacts[compiled.target] = compiled, _sent(compiled.file.path.read_bytes())
        make, model = ray.remote(_made), None
        at_work: dict[str, tuple[str, Any]] = {}
        for node, targets in places:
            for device, target in targets.items():
                if target in self._artifacts or target in at_work:
                    continue
                model = model if model is not None else _sent(dict(self._model()))
                options = msgspec.structs.replace(compiled.options, device=device)
                wanted = msgspec.structs.replace(compiled, options=options)
                ticket = make.options(**_on(node), num_cpus=0).remote(
                    dict(registry.BACKENDS), self._compile_there, model, wanted
                )
                at_work[target] = str(node["NodeManagerHostname"]), ticket
        for target, (host, ticket) in at_work.items():
            # Compilers may take their time: only the death of the node ends this.
            made: tuple[CompiledModel, bytes] = _ready(ticket, host, None)
            self._artifacts[target] = made[0], _sent(made[1])

    def _start(self, node: Mapping[str, Any], device: str, target: str, devices: int) -> _Hand:
        import ray

        compiled, content = self._artifacts[target]
        actor = (
            ray.remote(_Actor)
            # Libraries that ask how many threads they may have are told the share of the node's cores.
            .options(
                **_on(node),
                num_cpus=float(node["Resources"].get("CPU", 1.0)) / devices,
                max_restarts=0,
                max_concurrency=AHEAD,
            )
            .remote(dict(registry.BACKENDS), replace(self._task, compiled=compiled), device, content)
        )
        return _Hand(actor, str(node["NodeID"]), device)

    def _name(self, node: Mapping[str, Any], device: str) -> str:
        name = f"{node['NodeManagerHostname']} {str(node['NodeID'])[:6]} {device}"
        restarted = self._restarts.get((str(node["NodeID"]), device), 0)
        # Another than the one that died, whose shards may still be out.
        return f"{name} (start {restarted + 1})" if restarted else name


class _Actor:
    """A worker in a process of its own on some machine."""

    def __init__(self, backends: Mapping[str, str], task: Task, device: str, artifact: bytes) -> None:
        registry.take_over(backends)
        self._task, self._device, self._artifact = task, device, artifact
        self._folder = tempfile.TemporaryDirectory(prefix="assay-")

    def introduce(self) -> Introduction:
        """Opened here: what an actor raises while it is made, Ray tells of as of its death."""
        file = Path(self._folder.name) / self._task.compiled.file.path.name
        store.write_bytes(file, self._artifact)
        self._worker = Worker(self._task.on(self._device, file))
        del self._artifact
        return self._worker.introduce()

    def clock(self) -> float:
        return now()

    def run(self, first: int, names: Sequence[str], content: Content) -> Answer:
        return self._worker.run(first, names, content)


def _seen(backends: Mapping[str, str], options: BuildOptions) -> dict[str, str]:
    """The devices of this machine that are like one, and what an artifact for each depends on."""
    registry.take_over(backends)
    backend = registry.get(options.backend)
    kind = options.device.partition(":")[0]
    # `cuda` and `cuda:1` are of one kind.
    alike = [device for device in backend.devices() if device.partition(":")[0] == kind]
    return {device: backend.target(device) for device in alike}


def _made(
    backends: Mapping[str, str], compile_there: Compile, model: Mapping[str, bytes], wanted: CompiledModel
) -> tuple[CompiledModel, bytes]:
    registry.take_over(backends)
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        return compile_there(model, wanted, Path(folder))


def _connect(address: str) -> bool:
    """Connects to a cluster, or starts one; says whether that is ours to end.

    In a process that is connected already, the cluster is that one, whatever the address.
    """
    # Ray sends usage figures away otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # A worker sees all devices of its machine and is told which one is its own.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return False
    try:
        _require_answer(address)
        ray.init(
            address=address,
            include_dashboard=False if address == LOCAL else None,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise BackendError(
            f"--cluster {address}: cannot connect ({what}); start it with ray start --head, or give --cluster local"
        ) from error
    return True


def _require_answer(address: str) -> None:
    """Raises `OSError` where nothing listens at `host:port`: Ray itself would ask again for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


def _on(node: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an actor or a task for one node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(str(node["NodeID"]), soft=False)}


def _ready(ticket: Any, who: str, timeout: float | None = _START_SECONDS) -> Any:
    """What a worker or a node says before there is anything to hand out; its death then is an error."""
    from ray import exceptions

    try:
        return _got(ticket, timeout)
    except exceptions.GetTimeoutError as error:
        raise BackendError(
            f"{who} was not ready within {timeout:g} s; see with ray status whether the cluster has room"
        ) from error
    except WorkerLostError as error:
        raise BackendError(
            f"{who} was lost before it was ready ({error}); see Ray's logs there, and run it again"
        ) from error


def _sent(content: object) -> Any:
    """A reference to what was put into the object store."""
    import ray

    with _translated():
        return ray.put(content)


@contextmanager
def _translated() -> Iterator[None]:
    """Makes one line of what Ray raises where no worker is asked: a full object store, a cluster that is gone."""
    from ray import exceptions

    try:
        yield
    except (exceptions.RayError, ConnectionError) as error:
        what = " ".join(str(error).split())[:300]
        raise BackendError(f"the Ray cluster failed: {what}; see with ray status, and run it again") from error


def _got(ticket: Any, timeout: float | None = None) -> Any:
    """A result; what a worker raised of ours as itself, its death as `WorkerLostError`, all else as a line."""
    import ray
    from ray import exceptions

    try:
        return ray.get(ticket, timeout=timeout)
    except exceptions.GetTimeoutError:
        raise
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, AssayError):
            raise cause from error
        raise BackendError(f"a worker failed: {' '.join(str(cause).split())[:300]}; see Ray's logs there") from error
    except exceptions.RayError as error:
        raise WorkerLostError(type(error).__name__) from error


def _offset(actor: Any, who: str) -> float:
    """What is to be added to an actor's clock to have ours."""
    found = []
    for _ in range(_QUESTIONS):
        asked = now()
        theirs: float = _ready(actor.clock.remote(), who)
        answered = now()
        found.append((answered - asked, (asked + answered) / 2 - theirs))
    return min(found)[1]
