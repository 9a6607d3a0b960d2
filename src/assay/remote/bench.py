"""One artifact over a data set by several workers: the devices of this machine, or those of a cluster.

Each shard's answer is on disk as soon as it is there. A run that was killed goes on with the images that no whole
shard holds; its clock goes on too, from the end of the last one, and its workers are named as those who went on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.backends import registry
from assay.data.prepared import SHARD_IMAGES
from assay.measure import machine
from assay.measure.clock import now
from assay.measure.machine import Patience
from assay.processes import watchdog
from assay.progress import Progress
from assay.records import CompiledModel, Performance, Predictions, Setting, WarmUp, WorkerIdentity
from assay.remote import compile_there, gather, ray_calls, ray_cluster
from assay.remote.hand_out import Crew, Devices, divided, hand_out, shard_images
from assay.remote.records import ShardAnswer
from assay.remote.shards import Shardable
from assay.remote.worker import Answer, Content, Introduction, Shard, Task
from assay.storage import store

_FOLDER = "shards"
_DIGITS = 9


@dataclass(frozen=True)
class Spread:
    """Which workers share a run."""

    cluster: str | None = None
    """The address of a Ray cluster, or `local`."""
    devices: tuple[str, ...] = ()
    """Of this machine, without a cluster: names, or places in the list of the backend's devices."""

    def check(self, backends: Iterable[str]) -> None:
        """Raises where there is no Ray to connect with, or a backend has no such device on this machine."""
        if self.cluster is not None:
            ray_calls.require_ray()
        for backend in backends:
            for name in self.devices:
                registry.device(registry.get(backend), name)

    def crew(self, task: Task) -> Crew:
        """The workers, not yet started."""
        compiled = task.compiled
        if self.cluster is not None:
            return ray_cluster.Cluster(
                self.cluster,
                task,
                compile_there.compile_there,
                lambda: compile_there.files_of(compiled.model),
            )
        backend = registry.get(compiled.options.backend)
        return Devices(task, [registry.device(backend, name) for name in self.devices])


def measured(
    compiled: CompiledModel,
    source: Shardable,
    home: Path,
    made_from: str,
    run_settings: Mapping[str, Setting],
    timeout: float | None,
    spread: Spread,
    patience: Patience,
    progress: Progress,
) -> tuple[Performance, Predictions]:
    """Runs the data set and writes the records; `performance.json` last, as the sign that all is whole."""
    before = patience.look(compiled.options.device, progress)
    crew = spread.crew(Task(compiled, run_settings, source.array_files, timeout))
    try:
        introduced = crew.gather()
        run = _Run(compiled, source, home, made_from, introduced, timeout, progress)
        with machine.Watch(compiled.options.device) as watch:
            run.go(crew)
    finally:
        crew.close()
    answers = [answer for _, answer in sorted(run.answers.items())]
    seconds = max(run.seconds, *(end for answer in answers for _, end in answer.calls))
    predictions, dataset = gather.predictions(answers, source, compiled.model.classes, home)
    performance = Performance(
        batch=compiled.options.batch,
        images=len(source.names),
        wall_seconds=seconds,
        batch_seconds=store.save_array(home / "batch_seconds.npy", gather.calls(answers)),
        stages=gather.stages(answers, seconds, hand_out=run.reading, gather=run.writing),
        slots=sum(one.slots for one in run.introduced.values()),
        device=", ".join(dict.fromkeys(one.device for one in run.introduced.values())),
        run_settings=run_settings,
        warm_up=_warm_up(list(run.introduced.values())),
        source=source.kind,
        machine=machine.after(before, watch.during, watch.users, compiled.options.device),
        shares=gather.shares(answers, [run.identity(name) for name in run.introduced], run.lost),
    )
    store.write(home / "predictions.json", predictions, made_from)
    store.write(home / "dataset.json", dataset, made_from)
    store.write(home / "performance.json", performance, made_from)
    shutil.rmtree(home / _FOLDER, ignore_errors=True)
    return performance, predictions


class _Run:
    """What is there of a run so far."""

    def __init__(
        self,
        compiled: CompiledModel,
        source: Shardable,
        home: Path,
        made_from: str,
        introduced: dict[str, Introduction],
        timeout: float | None,
        progress: Progress,
    ) -> None:
        self.compiled, self.source, self.folder, self.made_from = compiled, source, home / _FOLDER, made_from
        self.introduced, self.timeout, self.progress = dict(introduced), timeout, progress
        self.answers = self._kept()
        self._resumed = bool(self.answers)
        self.lost: set[str] = set()
        self._began = 0.0
        self.reading = self.writing = 0.0
        self._before = max((end for one in self.answers.values() for _, end in one.calls), default=0.0)
        """What earlier parts of the run took."""
        self.seconds = self._before

    def identity(self, name: str) -> WorkerIdentity:
        """Who a worker of this part of the run is."""
        told = self.introduced[name]
        return WorkerIdentity(
            name=f"{name}{gather.RESUMED}" if self._resumed else name,
            machine=told.machine,
            device=told.device,
            processor=told.processor,
            artifact_sha256=told.artifact_sha256,
        )

    def go(self, crew: Crew) -> None:
        """Hands out what is not done yet."""
        names, batch = self.source.names, self.compiled.options.batch
        size = shard_images(len(names), batch, len(self.introduced), SHARD_IMAGES)
        self.progress.start(f"bench {batch}", len(names))
        self.progress.advance(sum(one.images for one in self.answers.values()))
        self._began = now()
        hand_out(
            divided(self._gaps(), size),
            list(self.introduced),
            crew,
            names,
            self._load,
            self._take,
            self.introduced.update,
            lambda name: self.lost.add(self.identity(name).name),
        )
        self.seconds = self._before + now() - self._began

    def _load(self, shard: Shard, worker: str) -> Content:
        if self.introduced[worker].in_place:
            return None
        begin = now()
        last = shard.first + shard.images - 1
        content = watchdog.within(
            self.timeout,
            "read",
            f"{shard.images} images ({self.source.names[shard.first]} to {self.source.names[last]})",
            lambda: self.source.shard(shard.first, shard.images),
        )
        self.reading += now() - begin
        return content

    def _take(self, shard: Shard, worker: str, answer: Answer) -> None:
        begin = now()
        place = self.folder / f"{shard.first:0{_DIGITS}}.json"
        found = ShardAnswer(
            first=shard.first,
            images=shard.images,
            worker=self.identity(worker),
            scores=store.save_array(place.with_suffix(".npy"), answer.scores),
            calls=tuple((start, end) for start, end in (answer.calls - self._began + self._before).tolist()),
            stages=answer.stages,
            image_sha256=answer.image_sha256,
            warnings=answer.warnings,
        )
        store.write(place, found, self.made_from)
        self.answers[shard.first] = found
        self.writing += now() - begin
        self.progress.advance(shard.images)

    def _kept(self) -> dict[int, ShardAnswer]:
        found = [
            store.kept(record, ShardAnswer, self.made_from)
            for record in sorted(self.folder.glob(f"{'[0-9]' * _DIGITS}.json"))
        ]
        return {one.first: one for one in found if one is not None}

    def _gaps(self) -> list[Shard]:
        """The images that no answer holds."""
        gaps, place = [], 0
        for first, answer in sorted(self.answers.items()):
            if first > place:
                gaps.append(Shard(place, first - place))
            place = max(place, first + answer.images)
        if place < len(self.source.names):
            gaps.append(Shard(place, len(self.source.names) - place))
        return gaps


def _warm_up(introduced: Sequence[Introduction]) -> WarmUp:
    """Of all workers: the calls, the time of the slowest, and whether all were steady."""
    warm_ups = [one.warm_up for one in introduced]
    return WarmUp(
        calls=sum(one.calls for one in warm_ups),
        seconds=max(one.seconds for one in warm_ups),
        steady=all(one.steady for one in warm_ups),
    )
