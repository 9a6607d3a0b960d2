"""Workers on a Ray cluster: one actor a device, with shards and artifacts that come through the object store.

An artifact is compiled once for each kind of processor or device in the cluster, on a machine of that kind, and its
bytes are checked against their hash where they are opened. The times of a worker's calls are brought to the clock of
the one who gathers: by the shortest of several questions for the time, good to half of how long that one took.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from assay import environment
from assay.backends import registry
from assay.errors import AssayError, BackendError, Option, Remedy
from assay.measure.clock import now
from assay.records import BuildOptions, CompiledModel
from assay.remote import ray_calls
from assay.remote.hand_out import AHEAD
from assay.remote.worker import Answer, Introduction, Task, Worker
from assay.steps.pixel_sources import Content
from assay.storage import store

Compile = Callable[[Mapping[str, bytes], CompiledModel, Path], tuple[CompiledModel, bytes]]
"""From a model's files by their places beside it to an artifact like another, made in a folder, and its bytes."""

_RESTARTS = 2
"""Workers on a living node, after the first one died."""


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
        ray_calls.require_ray()
        self._task, self._compile_there, self._model = task, compile_there, model
        self._ours = ray_calls.connect(address)
        self._hands: dict[str, _Hand] = {}
        self._of_ticket: dict[Hashable, _Hand] = {}
        self._artifacts: dict[str, tuple[CompiledModel, Any]] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    def gather(self) -> dict[str, Introduction]:
        """An actor for each device of the artifact's kind on each node that lives."""
        introductions = self._join(self._nodes())
        if not introductions:
            raise BackendError(
                f"no machine of the cluster has a device like {self._task.compiled.options.device}",
                remedy=Remedy("start nodes that have, or compile for another {}", Option("device")),
            )
        return introductions

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        """The content goes through the object store, from which a worker on the same machine reads it in place."""
        import ray

        hand = self._hands[worker]
        with ray_calls.translated():
            ticket: Hashable = hand.actor.run.remote(first, names, ray.put(content) if content is not None else None)
        self._of_ticket[ticket] = hand
        return ticket

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        """Those that are done or lost."""
        import ray

        with ray_calls.translated():
            done, _ = ray.wait(list(tickets), num_returns=1)
        return tuple(done)

    def answer(self, ticket: Hashable) -> Answer:
        """The answer with its times on our clock."""
        hand = self._of_ticket.pop(ticket)
        answer: Answer = ray_calls.got(ticket)
        return answer._replace(calls=answer.calls + hand.offset)

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

        with ray_calls.translated():
            return sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: str(node["NodeID"]))

    def _join(self, nodes: Sequence[Mapping[str, Any]], device: str | None = None) -> dict[str, Introduction]:
        """The workers of nodes, warm: for every device of the artifact's kind, or for one.

        What takes its time (to look, to compile, to open and to warm up) is at work on all nodes at once. Raises
        `BackendError` where one is lost before it is ready.
        """
        import ray

        look = ray.remote(_seen)
        options = self._task.compiled.options
        seen = [
            look.options(**ray_calls.on(node), num_cpus=0).remote(dict(registry.BACKENDS), options) for node in nodes
        ]
        places: list[tuple[Mapping[str, Any], dict[str, str]]] = [
            (node, ray_calls.ready(introduction, str(node["NodeManagerHostname"])))
            for node, introduction in zip(nodes, seen, strict=True)
        ]
        self._compile_for(places)
        hands: dict[str, _Hand] = {}
        for node, targets in places:
            for name, target in targets.items():
                if device in (None, name):
                    hands[self._name(node, name)] = self._start(node, name, target, len(targets))
        told = {name: hand.actor.introduce.remote() for name, hand in hands.items()}
        introduced: dict[str, Introduction] = {name: ray_calls.ready(ticket, name) for name, ticket in told.items()}
        for name, one in introduced.items():
            if one.decoders and one.decoders != environment.decoders():
                raise BackendError(
                    f"{name} decodes images by other versions than this machine ({one.decoders} against "
                    f"{environment.decoders()} of Pillow and simplejpeg), and so to other pixels; install the same, or "
                    "prepare the images first"
                )
        for name, hand in hands.items():
            hand.offset = ray_calls.offset(hand.actor, name)
        self._hands |= hands
        return introduced

    def _compile_for(self, places: Sequence[tuple[Mapping[str, Any], dict[str, str]]]) -> None:
        """Puts an artifact for each kind of processor or device into the object store; each is made on such a node."""
        import ray

        compiled = self._task.compiled
        if compiled.target not in self._artifacts:
            self._artifacts[compiled.target] = compiled, ray_calls.sent(compiled.file.path.read_bytes())
        make, model = ray.remote(_made), None
        at_work: dict[str, tuple[str, Any]] = {}
        for node, targets in places:
            for device, target in targets.items():
                if target in self._artifacts or target in at_work:
                    continue
                model = model if model is not None else ray_calls.sent(dict(self._model()))
                options = msgspec.structs.replace(compiled.options, device=device)
                wanted = msgspec.structs.replace(compiled, options=options)
                ticket = make.options(**ray_calls.on(node), num_cpus=0).remote(
                    dict(registry.BACKENDS), self._compile_there, model, wanted
                )
                at_work[target] = str(node["NodeManagerHostname"]), ticket
        for target, (host, ticket) in at_work.items():
            # Compilers may take their time: only the death of the node ends this.
            made: tuple[CompiledModel, bytes] = ray_calls.ready(ticket, host, None)
            self._artifacts[target] = made[0], ray_calls.sent(made[1])

    def _start(self, node: Mapping[str, Any], device: str, target: str, devices: int) -> _Hand:
        import ray

        compiled, content = self._artifacts[target]
        actor = (
            ray.remote(_Actor)
            # Libraries that ask how many threads they may have are told the share of the node's cores.
            .options(
                **ray_calls.on(node),
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

    def introduce(self) -> Introduction:
        """Opened here: what an actor raises while it is made, Ray tells of as of its death.

        An actor is killed in the end, and removes nothing then: the artifact's file goes once it is open and warm.
        """
        with tempfile.TemporaryDirectory(prefix="assay-", ignore_cleanup_errors=True) as folder:
            file = Path(folder) / self._task.compiled.file.path.name
            store.write_bytes(file, self._artifact)
            del self._artifact
            self._worker = Worker(self._task.on(self._device, file))
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
