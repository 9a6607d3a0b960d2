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
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from assay.backends import registry
from assay.errors import AssayError, BackendError, MissingExtraError
from assay.measure.clock import now
from assay.measure.handing_out import AHEAD, WorkerLostError
from assay.measure.worker import Answer, Content, Introduction, Task, Worker, devices_like, written
from assay.records import BuildOptions, CompiledModel

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the run."""

Compile = Callable[[Mapping[str, bytes], CompiledModel, Path], tuple[CompiledModel, bytes]]
"""From a model's files by their names to an artifact like another, made in a folder, and its bytes."""

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
    address: str
    device: str
    offset: float = 0.0


class Cluster:
    """A crew of actors; it is connected to Ray from its making until `close`."""

    def __init__(self, address: str, task: Task, compile_there: Compile, model: Mapping[str, bytes]) -> None:
        require_ray()
        self._task, self._compile_there, self._model = task, compile_there, model
        self._ours = _connect(address)
        self._hands: dict[str, _Hand] = {}
        self._of_ticket: dict[Hashable, _Hand] = {}
        self._artifacts: dict[str, tuple[CompiledModel, Any]] = {}
        self._restarts: dict[str, int] = {}

    def gather(self) -> dict[str, Introduction]:
        """An actor for each device of the artifact's kind on each node that lives."""
        found: dict[str, Introduction] = {}
        for node in self._nodes():
            found |= self._join(node)
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
        ticket: Hashable = hand.actor.run.remote(first, names, ray.put(content) if content is not None else None)
        self._of_ticket[ticket] = hand
        return ticket

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        """Those that are done or lost."""
        import ray

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
        self._restarts[hand.node] = self._restarts.get(hand.node, 0) + 1
        node = next((one for one in self._nodes() if one["NodeID"] == hand.node), None)
        if node is None or self._restarts[hand.node] > _RESTARTS:
            return {}
        try:
            return self._join(node, (hand.device,))
        except (AssayError, WorkerLostError):
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

        return sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: str(node["NodeID"]))

    def _join(self, node: Mapping[str, Any], devices: Sequence[str] | None = None) -> dict[str, Introduction]:
        """The workers of one node, warm; its artifact is made there first where none of its kind is known."""
        import ray

        options = self._task.compiled.options
        here, cores = _on(str(node["NodeID"])), float(node["Resources"].get("CPU", 1.0))
        look = ray.remote(_seen).options(**here, num_cpus=0)
        found: dict[str, str] = _got(look.remote(dict(registry.BACKENDS), options))
        hands: dict[str, _Hand] = {}
        for device, target in found.items():
            if devices is not None and device not in devices:
                continue
            compiled, content = self._artifact(target, device, here)
            actor = (
                ray.remote(_Actor)
                # Libraries that ask how many threads they may have are told the share of the node's cores.
                .options(**here, num_cpus=cores / len(found), max_restarts=0, max_concurrency=AHEAD)
                .remote(
                    dict(registry.BACKENDS),
                    Task(compiled, self._task.run_settings, self._task.shards),
                    device,
                    content,
                )
            )
            name = f"{node['NodeManagerHostname']} {str(node['NodeID'])[:6]} {device}"
            if restarted := self._restarts.get(str(node["NodeID"]), 0):
                # Another than the one that died, whose shards may still be out.
                name = f"{name} (start {restarted + 1})"
            hands[name] = _Hand(actor, str(node["NodeID"]), str(node["NodeManagerAddress"]), device)
        introduced = {}
        for name, hand in hands.items():
            told: Introduction = _got(hand.actor.introduce.remote(), _START_SECONDS)
            introduced[name] = told
            hand.offset = _offset(hand.actor)
        self._hands |= hands
        return introduced

    def _artifact(self, target: str, device: str, here: Mapping[str, Any]) -> tuple[CompiledModel, Any]:
        """The artifact for a kind of device and its bytes in the object store."""
        import ray

        compiled = self._task.compiled
        if target not in self._artifacts:
            if target == compiled.target:
                self._artifacts[target] = compiled, ray.put(compiled.file.path.read_bytes())
            else:
                wanted = msgspec.structs.replace(
                    compiled, options=msgspec.structs.replace(compiled.options, device=device)
                )
                make = ray.remote(_made).options(**here, num_cpus=0)
                made: tuple[CompiledModel, bytes] = _got(
                    make.remote(dict(registry.BACKENDS), self._compile_there, ray.put(dict(self._model)), wanted)
                )
                self._artifacts[target] = made[0], ray.put(made[1])
        return self._artifacts[target]


class _Actor:
    """A worker in a process of its own on some machine."""

    def __init__(self, backends: Mapping[str, str], task: Task, device: str, artifact: bytes) -> None:
        registry.take_over(backends)
        self._folder = tempfile.TemporaryDirectory(prefix="assay-")
        self._worker = Worker(task.on(device, written(artifact, task.compiled, Path(self._folder.name))))

    def introduce(self) -> Introduction:
        return self._worker.introduce()

    def clock(self) -> float:
        return self._worker.clock()

    def process(self) -> int:
        return self._worker.process()

    def run(self, first: int, names: Sequence[str], content: Content) -> Answer:
        return self._worker.run(first, names, content)


def _seen(backends: Mapping[str, str], options: BuildOptions) -> dict[str, str]:
    """The devices of this machine that are like one, and what an artifact for each depends on."""
    registry.take_over(backends)
    backend = registry.get(options.backend)
    return {device: backend.target(device) for device in devices_like(backend.devices(), options.device)}


def _made(
    backends: Mapping[str, str], compile_there: Compile, model: Mapping[str, bytes], wanted: CompiledModel
) -> tuple[CompiledModel, bytes]:
    registry.take_over(backends)
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        return compile_there(model, wanted, Path(folder))


def _connect(address: str) -> bool:
    """Connects to a cluster, or starts one; says whether that is ours to end."""
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


def _on(node: str) -> dict[str, Any]:
    """Options of an actor or a task for one node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def _got(ticket: Any, timeout: float | None = None) -> Any:
    """A result; what a worker raised of ours as itself, its death as `WorkerLostError`, all else as a line."""
    import ray
    from ray import exceptions

    try:
        return ray.get(ticket, timeout=timeout)
    except exceptions.GetTimeoutError as error:
        raise BackendError(
            f"a worker was not ready within {timeout:g} s; see with ray status whether the cluster has room"
        ) from error
    except exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, AssayError):
            raise cause from error
        raise BackendError(f"a worker failed: {' '.join(str(cause).split())[:300]}; see Ray's logs there") from error
    except exceptions.RayError as error:
        raise WorkerLostError(type(error).__name__) from error


def _offset(actor: Any) -> float:
    """What is to be added to an actor's clock to have ours."""
    found = []
    for _ in range(_QUESTIONS):
        asked = now()
        theirs: float = _got(actor.clock.remote())
        answered = now()
        found.append((answered - asked, (asked + answered) / 2 - theirs))
    return min(found)[1]
