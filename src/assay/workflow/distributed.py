"""One artifact over a data set by several workers: the devices of this machine, or those of a cluster.

Each shard's answer is on disk as soon as it is there. A run that was killed goes on with the images that no whole
shard holds; its clock goes on too, from the end of the last one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay import stalling, store
from assay.backends import registry
from assay.data.prepared import SHARD_IMAGES
from assay.errors import RecordError
from assay.measure import cluster, machine, ray_calls, stages
from assay.measure.clock import now
from assay.measure.handing_out import Crew, Devices, divided, hand_out, shard_images
from assay.measure.machine import Patience
from assay.measure.worker import Answer, Content, Introduction, Shard, Task
from assay.progress import Progress
from assay.records import (
    CompiledModel,
    Dataset,
    Performance,
    Predictions,
    Setting,
    ShardAnswer,
    Share,
    StageTime,
    WarmUp,
    WorkerIdentity,
)
from assay.workflow import compiling_elsewhere
from assay.workflow.pixels import Shardable

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
            return cluster.Cluster(
                self.cluster,
                task,
                compiling_elsewhere.compile_there,
                lambda: compiling_elsewhere.files_of(compiled.model),
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
    seconds = max(end for answer in run.answers.values() for _, end in answer.calls)
    predictions, dataset = run.predictions(home)
    performance = Performance(
        batch=compiled.options.batch,
        images=len(source.names),
        wall_seconds=max(seconds, run.seconds),
        batch_seconds=store.save_array(home / "batch_seconds.npy", run.calls()),
        stages=run.stages(max(seconds, run.seconds)),
        slots=sum(one.slots for one in run.introduced.values()),
        device=", ".join(dict.fromkeys(one.device for one in run.introduced.values())),
        run_settings=run_settings,
        warm_up=_warm_up(list(run.introduced.values())),
        source=source.kind,
        machine=machine.after(before, watch.during, watch.users),
        shares=run.shares(),
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
        self.lost: set[str] = set()
        self._began = 0.0
        self._read = self._posted = 0.0
        self._before = max((end for one in self.answers.values() for _, end in one.calls), default=0.0)
        """What earlier parts of the run took."""
        self.seconds = self._before

    def _identity(self, name: str) -> WorkerIdentity:
        """Who a worker of this part of the run is."""
        told = self.introduced[name]
        return WorkerIdentity(
            name=name,
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
            self.lost.add,
        )
        self.seconds = self._before + now() - self._began

    def _load(self, shard: Shard, worker: str) -> Content:
        if self.introduced[worker].in_place:
            return None
        begin = now()
        last = shard.first + shard.images - 1
        content = stalling.within(
            self.timeout,
            "read",
            f"{shard.images} images ({self.source.names[shard.first]} to {self.source.names[last]})",
            lambda: self.source.shard(shard.first, shard.images),
        )
        self._read += now() - begin
        return content

    def _take(self, shard: Shard, worker: str, answer: Answer) -> None:
        begin = now()
        place = self.folder / f"{shard.first:0{_DIGITS}}.json"
        found = ShardAnswer(
            first=shard.first,
            images=shard.images,
            worker=self._identity(worker),
            scores=store.save_array(place.with_suffix(".npy"), answer.scores),
            calls=tuple((start, end) for start, end in (answer.calls - self._began + self._before).tolist()),
            stages=answer.stages,
            image_sha256=answer.image_sha256,
            warnings=answer.warnings,
        )
        store.write(place, found, self.made_from)
        self.answers[shard.first] = found
        self._posted += now() - begin
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

    def predictions(self, home: Path) -> tuple[Predictions, Dataset]:
        """All scores in one file, and the data set with what was learned of it.

        Raises `RecordError` where shards do not make up the data set.
        """
        images, classes = len(self.source.names), self.compiled.model.classes
        answers = [answer for _, answer in sorted(self.answers.items())]
        if [one.first for one in answers] != [0, *np.cumsum([one.images for one in answers])[:-1].tolist()]:
            raise RecordError(f"the shards in {self.folder} overlap; delete the folder and run it again")
        with store.replacing(home / "scores.npy") as beside, beside.open("wb") as file:
            writer = stages.ScoreWriter(file.fileno(), images, classes)
            for one in answers:
                store.verified(one.scores.file)
                writer.write(one.first, np.asarray(one.scores.load()))
                self.source.took(one.first, one.image_sha256, one.warnings)
        scores = store.array_file(home / "scores.npy", (images, classes), np.float32)
        dataset = self.source.dataset()
        found = Predictions(names=self.source.names, dataset_fingerprint=dataset.fingerprint, scores=scores)
        return found, dataset

    def calls(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Every inference call in the order of the images."""
        rows = [call for _, answer in sorted(self.answers.items()) for call in answer.calls]
        return np.array(rows, np.float64).reshape(-1, 2)

    def stages(self, seconds: float) -> tuple[StageTime, ...]:
        """Reading and posting where the shards are handed out, and between them the workers' stages, summed."""
        answers = list(self.answers.values())
        workers = {one.worker.name for one in answers}
        inner = []
        for position, first in enumerate(answers[0].stages):
            parts = [one.stages[position] for one in answers]
            inner.append(
                StageTime(
                    name=first.name,
                    workers=first.workers * len(workers),
                    items=sum(part.items for part in parts),
                    busy_seconds=sum(part.busy_seconds for part in parts),
                    span_seconds=seconds,
                    waiting_in_seconds=sum(part.waiting_in_seconds for part in parts),
                    waiting_out_seconds=sum(part.waiting_out_seconds for part in parts),
                    run_seconds=seconds,
                )
            )
        ends = [self._end("hand out", self._read, seconds), self._end("gather", self._posted, seconds)]
        return (ends[0], *inner, ends[1])

    def _end(self, name: str, busy: float, seconds: float) -> StageTime:
        return StageTime(
            name=name,
            workers=1,
            items=len(self.source.names),
            busy_seconds=busy,
            span_seconds=seconds,
            waiting_in_seconds=0.0,
            waiting_out_seconds=0.0,
            run_seconds=seconds,
        )

    def shares(self) -> tuple[Share, ...]:
        """What each worker did, those of an earlier part of the run as well."""
        by_worker: dict[WorkerIdentity, list[ShardAnswer]] = {self._identity(name): [] for name in self.introduced}
        for answer in self.answers.values():
            by_worker.setdefault(answer.worker, []).append(answer)
        return tuple(self._share(worker, found) for worker, found in by_worker.items())

    def _share(self, worker: WorkerIdentity, answers: Sequence[ShardAnswer]) -> Share:
        return Share(
            worker=worker,
            shards=len(answers),
            images=sum(one.images for one in answers),
            interface_seconds=_union([call for one in answers for call in one.calls]),
            lost=worker.name in self.lost,
        )


def _union(calls: Sequence[tuple[float, float]]) -> float:
    """The time in which at least one call was in flight."""
    seconds, ended = 0.0, 0.0
    for begin, end in sorted(calls):
        seconds += max(0.0, end - max(begin, ended))
        ended = max(ended, end)
    return seconds


def _warm_up(introduced: Sequence[Introduction]) -> WarmUp:
    """Of all workers: the calls, the time of the slowest, and whether all were steady."""
    warm_ups = [one.warm_up for one in introduced]
    return WarmUp(
        calls=sum(one.calls for one in warm_ups),
        seconds=max(one.seconds for one in warm_ups),
        steady=all(one.steady for one in warm_ups),
    )
