"""One artifact over a data set by several workers: the devices of this machine, or those of a cluster.

Each shard's answer is on disk as soon as it is there. A run that was killed goes on with the images that no whole
shard holds; its clock goes on too, from the end of the last one, and its workers are named as those who went on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from assay.backends import registry
from assay.data.prepared import SHARD_IMAGES
from assay.errors import Option, Remedy, UsageError
from assay.measure import machine
from assay.measure.clock import now
from assay.processes import watchdog
from assay.records import CompiledModel, Performance, Runnable, Share, WarmUp, WorkerIdentity
from assay.remote import compile_there, gather, ray_calls, ray_cluster
from assay.remote.hand_out import Crew, Devices, divided, hand_out, shard_images
from assay.remote.records import ShardAnswer
from assay.remote.shards import Shardable, shardable
from assay.remote.worker import Answer, Introduction, Shard, Task
from assay.steps.measurement import BATCH_SECONDS, Home, Measured, Measuring
from assay.steps.pixel_sources import Content, Data, Source
from assay.storage import store
from assay.storage.layout import Folder, Place

_FOLDER = "shards"
_DIGITS = 9
LAYOUT = Folder((Place(f"{'[0-9]' * _DIGITS}.json", ShardAnswer), Place(f"{'[0-9]' * _DIGITS}.npy")))
"""The folder of the answers of a measurement that is shared, until they are gathered."""
SHARED = Folder(folders={"*": Folder(folders={_FOLDER: LAYOUT})})
"""The same, seen from the folder of measurements."""


@dataclass(frozen=True)
class Spread:
    """Which workers share a run."""

    cluster: str | None = None
    """The address of a Ray cluster, or `local`."""
    devices: tuple[str, ...] = ()
    """Of this machine, without a cluster: names, or places in the list of the backend's devices."""

    @classmethod
    def of(cls, cluster: str | None, device: str | None) -> Spread | None:
        """The workers that a cluster or several devices (`0,1`) name; None for one device of this machine."""
        devices = tuple(device.split(",")) if device is not None else ()
        if cluster is None and len(devices) < 2:
            return None
        if cluster is not None and len(devices) > 1:
            raise UsageError(
                "a cluster takes every device of a kind",
                remedy=Remedy("give one {}, or several without {}", Option("device"), Option("cluster")),
            )
        return cls(cluster=cluster, devices=devices if cluster is None else ())

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

    @property
    def identity(self) -> object:
        """Tells whether a finished run was shared in the same way."""
        return asdict(self)

    def source(self, data: Data) -> Shardable:
        """The data's pixels, to be shared; raises `UsageError` if they stay on this machine."""
        return shardable(data)

    def measure(self, runnable: Runnable, source: Source, home: Home, measuring: Measuring) -> Measured:
        """Runs the data set once and writes the records; `performance.json` last, as the sign that all is whole."""
        assert isinstance(source, Shardable)  # noqa: S101 - it is what `source` returned
        compiled, device = runnable.compiled, runnable.compiled.options.device
        source.check(compiled)
        before = measuring.patience.look(device, measuring.progress)
        task = Task(compiled, runnable.run_settings, source.array_files, measuring.length.timeout)
        crew = self.crew(task)
        try:
            run = _Run(compiled, source, home, crew.gather(), measuring)
            with machine.Watch(device) as watch:
                run.go(crew)
        finally:
            crew.close()
        answers = [answer for _, answer in sorted(run.answers.items())]
        introduced = list(run.introduced.values())
        seconds = max(run.seconds, *(end for answer in answers for _, end in answer.calls))
        predictions, dataset = gather.predictions(answers, source, compiled.model.classes, home.folder)
        performance = Performance(
            batch=compiled.options.batch,
            images=len(source.names),
            wall_seconds=seconds,
            batch_seconds=store.save_array(home.folder / BATCH_SECONDS, gather.calls(answers)),
            stages=gather.stages(answers, seconds, hand_out=run.reading, gather=run.writing),
            slots=sum(one.slots for one in introduced),
            device=", ".join(dict.fromkeys(one.device for one in introduced)),
            run_settings=runnable.run_settings,
            warm_up=_warm_up(introduced),
            source=source.kind,
            machine=machine.after(before, watch.during, watch.users, device),
            shares=gather.shares(answers, [run.identity(name) for name in run.introduced], run.lost),
        )
        home.write(predictions, dataset, performance)
        shutil.rmtree(home.folder / _FOLDER, ignore_errors=True)
        return Measured(performance, predictions, dataset, kept=False)


class _Run:
    """What is there of a run so far."""

    def __init__(
        self,
        compiled: CompiledModel,
        source: Shardable,
        home: Home,
        introduced: Mapping[str, Introduction],
        measuring: Measuring,
    ) -> None:
        self.compiled, self.source, self.folder, self.made_from = (
            compiled,
            source,
            home.folder / _FOLDER,
            home.made_from,
        )
        self.introduced, self.names = dict(introduced), source.names
        self.timeout, self.progress = measuring.length.timeout, measuring.progress
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
            name=f"{name}{Share.RESUMED}" if self._resumed else name,
            machine=told.machine,
            device=told.device,
            processor=told.processor,
            artifact_sha256=told.artifact_sha256,
        )

    def go(self, crew: Crew) -> None:
        """Hands out what is not done yet."""
        names, batch = self.names, self.compiled.options.batch
        size = shard_images(len(names), batch, len(self.introduced), SHARD_IMAGES)
        self.progress.start(f"bench {batch}", len(names))
        self.progress.advance(sum(one.images for one in self.answers.values()))
        self._began = now()
        hand_out(divided(self._gaps(), size), list(self.introduced), crew, self)
        self.seconds = self._before + now() - self._began

    def joined(self, workers: Mapping[str, Introduction]) -> None:
        """Notes workers that were started in place of others."""
        self.introduced.update(workers)

    def lose(self, worker: str) -> None:
        """Notes a worker that died."""
        self.lost.add(self.identity(worker).name)

    def load(self, shard: Shard, worker: str) -> Content:
        """The pixels or files of a shard; nothing for a worker that reads them in place."""
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

    def take(self, shard: Shard, worker: str, answer: Answer) -> None:
        """Writes an answer to the disk at once."""
        begin = now()
        place = self.folder / f"{shard.first:0{_DIGITS}}.json"
        taken = ShardAnswer(
            first=shard.first,
            images=shard.images,
            worker=self.identity(worker),
            scores=store.save_array(place.with_suffix(".npy"), answer.scores),
            calls=tuple((start, end) for start, end in (answer.calls - self._began + self._before).tolist()),
            stages=answer.stages,
            image_sha256=answer.image_sha256,
            warnings=answer.warnings,
        )
        store.write(place, taken, self.made_from)
        self.answers[shard.first] = taken
        self.writing += now() - begin
        self.progress.advance(shard.images)

    def _kept(self) -> dict[int, ShardAnswer]:
        answers = [
            store.kept(record, ShardAnswer, self.made_from)
            for record in sorted(self.folder.glob(f"{'[0-9]' * _DIGITS}.json"))
        ]
        return {one.first: one for one in answers if one is not None}

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
