"""One data set shared by several workers: the scores of a run on one device, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from assay.backends import registry
from assay.cli.main import main
from assay.errors import BackendError, MissingExtraError, UsageError
from assay.measure.memory import PeakMemory
from assay.progress import Progress, Silent
from assay.records import BatchResult, CompiledModel, OnnxModel, PreparedDataset, Runnable, RunRecord
from assay.remote import ray_calls
from assay.remote import ray_cluster as clusters
from assay.remote.bench import Spread
from assay.remote.records import ShardAnswer
from assay.remote.worker import Answer, Introduction, Task, Worker
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all, bench_one, record_of
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring
from assay.steps.pixel_sources import Content, Images
from assay.storage import store
from tests.backends import spread as slow
from tests.messages import assert_says

BATCH = 4
TWO = Spread(devices=("cpu", "0"))


@pytest.fixture
def artifact(demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CompiledModel:
    monkeypatch.setattr(registry, "BACKENDS", {**registry.BACKENDS, **slow.TABLE})
    options, _ = BuildRequest(backend="slow").options(BATCH)
    return compile_into(demo_model, options, tmp_path / "compiled")[0]


def scores(record: RunRecord) -> np.ndarray[Any, np.dtype[Any]]:
    predictions = record.results[0].predictions
    assert predictions is not None
    return np.asarray(predictions.scores.load())


def shared(
    artifact: CompiledModel,
    data: Images | PreparedDataset,
    out: Path,
    over: Spread,
    progress: Progress = Silent(),
) -> RunRecord:
    return bench_all([Runnable(artifact, {})], data, out, Measuring(progress=progress, workers=over))


@pytest.fixture(scope="module")
def one(demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    folder = tmp_path_factory.mktemp("one")
    options, settings = BuildRequest(backend="onnxruntime").options(BATCH)
    compiled, _ = compile_into(demo_model, options, folder / "compiled")
    return bench_all([Runnable(compiled, settings)], demo_data, folder)


def is_as(record: RunRecord, one: RunRecord) -> bool:
    """The same predictions and the same accuracy, image by image."""
    ours, theirs = record.results[0], one.results[0]
    assert ours.predictions is not None
    assert theirs.predictions is not None
    assert ours.predictions.names == theirs.predictions.names
    assert ours.predictions.dataset_fingerprint == theirs.predictions.dataset_fingerprint
    assert ours.accuracy == theirs.accuracy
    return bool(np.array_equal(scores(record), scores(one)))


def holds_together(result: BatchResult) -> bool:
    """Every image is in one share, and the times are those of as many calls."""
    performance = result.performance
    assert sum(share.images for share in performance.shares) == performance.images == 240
    assert len(performance.call_seconds) == 240 / BATCH
    assert performance.call_seconds.min() >= slow.CALL_SECONDS
    begins = performance.batch_seconds.load()[:, 0]
    # The workers' clocks are right to within what a question for the time takes, of which a run is many.
    assert begins.min() > -performance.wall_seconds
    assert performance.call_ends.max() <= performance.wall_seconds
    assert {stage.items for stage in performance.stages} == {240}
    return all(share.worker.artifact_sha256 for share in performance.shares)


def test_devices_of_one_machine_share_it_without_a_cluster(
    artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
) -> None:
    record = shared(artifact, demo_data, tmp_path / "out", TWO)
    assert is_as(record, one)
    assert holds_together(record.results[0])
    shares = record.results[0].performance.shares
    assert len(shares) == 2
    assert min(share.images for share in shares) > 0
    # Two at once are faster than each alone.
    performance = record.results[0].performance
    assert performance.interface_throughput > 1.1 * max(share.interface_throughput for share in shares)
    assert not list(tmp_path.rglob("shards"))


def test_files_are_decoded_where_they_are_scored(artifact: CompiledModel, one: RunRecord, tmp_path: Path) -> None:
    from assay import demo

    images = Images.of(demo.IMAGES, demo.LABELS)
    record = shared(artifact, images, tmp_path / "out", TWO)
    assert is_as(record, one)
    assert record.results[0].performance.source == "images"


def unseen(data: PreparedDataset) -> PreparedDataset:
    """The same set as one that no worker sees on its own disk."""
    shards = tuple(
        replace(shard, file=replace(shard.file, modified_ns=shard.file.modified_ns + 1)) for shard in data.shards
    )
    return replace(data, shards=shards)


def test_pixels_are_sent_to_those_who_do_not_see_them(
    artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
) -> None:
    assert is_as(shared(artifact, unseen(demo_data), tmp_path / "out", TWO), one)


class Interrupting(Silent):
    """Interrupts after so many images."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int = 1) -> None:
        self.left -= count
        if self.left <= 0:
            self.left = 1 << 40
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_goes_on_with_what_is_not_whole(
    artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
) -> None:
    measuring = Measuring(reuse=True, workers=TWO)
    with pytest.raises(KeyboardInterrupt):
        bench_one(Runnable(artifact), demo_data, tmp_path, replaced(measuring, progress=Interrupting(100)))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*.json")}
    assert kept
    counted = _Counted()
    result = bench_one(Runnable(artifact), demo_data, tmp_path, replaced(measuring, progress=counted)).result
    assert counted.images == 240
    assert counted.first >= 100 - BATCH * 9
    assert holds_together(result)
    assert result.accuracy == one.results[0].accuracy
    assert bench_one(Runnable(artifact), demo_data, tmp_path, measuring).kept


class Signalling(Silent):
    """Ctrl-C, with the first images."""

    sent = False

    def advance(self, count: int = 1) -> None:
        if count and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_for_no_more_than_the_batch_at_work(
    artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each device has two shards, of seven calls each.
    monkeypatch.setenv(slow.CALL, "0.2")
    begun_when_stopped: list[int] = []
    stop = Worker.stop

    def stopped(worker: Worker) -> None:
        stop(worker)
        begun_when_stopped.append(len(slow.BEGUN))

    monkeypatch.setattr(Worker, "stop", stopped)
    with pytest.raises(KeyboardInterrupt):
        shared(artifact, demo_data, tmp_path / "out", TWO, Signalling())
    # The call at work ends, and another may have begun by then: on two devices, fewer than one shard has.
    assert len(begun_when_stopped) == 2
    assert len(slow.BEGUN) - begun_when_stopped[-1] < 7
    kept = sum(json.loads(path.read_text())["body"]["images"] for path in tmp_path.rglob("shards/*.json"))
    assert 0 < kept < 240


class _Counted(Silent):
    images, first = 0, 0

    def advance(self, count: int = 1) -> None:
        self.first = self.first or count
        self.images += count


RUN = """
import json, sys
from pathlib import Path
from assay.backends import registry
from tests.backends import spread as slow
from assay.records import Runnable
from assay.remote.bench import Spread
from assay.steps import bench
from assay.steps.artifact import load_compiled
from assay.steps.measurement import Measuring
from assay.steps.prepare import load_prepared
registry.take_over({**registry.BACKENDS, **slow.TABLE})
artifact, data = load_compiled(Path(sys.argv[1])), load_prepared(Path(sys.argv[2]))
measuring = Measuring(reuse=True, workers=Spread(**json.loads(sys.argv[4])))
result = bench.bench_one(Runnable(artifact), data, Path(sys.argv[3]), measuring).result
print(result.accuracy.correct_at[0])
"""


def killed_and_resumed(artifact: CompiledModel, demo_data: PreparedDataset, out: Path, over: Spread) -> BatchResult:
    """The result of a run whose driver was killed between two shards; the second one begins where that was."""
    prepared = demo_data.shards[0].file.path.parent
    words = [sys.executable, "-c", RUN, str(artifact.file.path), str(prepared), str(out)]
    words.append(json.dumps({"cluster": over.cluster, "devices": over.devices}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path]))}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while len(list(out.rglob("shards/*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = [store.read(path, ShardAnswer) for path in out.rglob("shards/*.json")]
    assert len(kept) >= 2
    whole = sum(one.images for one in kept)
    counted = _Counted()
    benched = bench_one(Runnable(artifact, {}), demo_data, out, Measuring(reuse=True, progress=counted, workers=over))
    result = benched.result
    assert counted.first == whole
    assert counted.images == 240
    assert holds_together(result)
    # Those who went on are told apart from those who were stopped, and the record says so.
    went_on = [share for share in result.performance.shares if share.worker.name.endswith(" (resumed)")]
    assert sum(share.images for share in went_on) == 240 - whole
    (said,) = [line for line in record_of(artifact.model, benched.dataset, (result,)).warnings if "stopped" in line]
    assert "the run was stopped and went on" in said
    return result


@pytest.mark.long
def test_the_driver_killed_goes_on_from_the_whole_shards(
    artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
) -> None:
    over = Spread(devices=("cpu", "cpu"))
    result = killed_and_resumed(artifact, demo_data, tmp_path / "out", over)
    assert result.accuracy == one.results[0].accuracy


def test_made_up_pixels_are_not_shared(artifact: CompiledModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bench_all([Runnable(artifact, {})], None, tmp_path, Measuring(workers=TWO))
    assert_says(caught, "made-up pixels", "data or images")


def test_a_length_of_time_is_not_shared(artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave duration, iterations and min_time away"):
        bench_all([Runnable(artifact, {})], demo_data, tmp_path, Measuring(length=Length(seconds=1), workers=TWO))


def test_the_clock_of_a_worker_is_brought_to_ours_by_the_shortest_question(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs, delays = [100.0], -4_000.0, iter([0.3, 0.002, 0.1, 0.5, 0.2])

    class Clock:
        def remote(self) -> float:
            """Answers at once; the answer is long on its way."""
            told = ours[0] + theirs
            ours[0] += next(delays)
            return told

    class Actor:
        clock = Clock()

    monkeypatch.setattr(ray_calls, "now", lambda: ours[0])
    monkeypatch.setattr(ray_calls, "ready", lambda ticket, who: ticket)
    assert ray_calls.offset(Actor(), "a worker") == pytest.approx(4_000.0, abs=0.0011)


class Thousand:
    """So many workers as the one who hands out sees them, with one session behind all of them."""

    def __init__(self, task: Task, workers: int) -> None:
        self.worker, self.workers = Worker(task), workers
        self.out: deque[tuple[Hashable, Answer]] = deque()

    def gather(self) -> dict[str, Introduction]:
        told = replaced(self.worker.introduce(), in_place=False)
        return {f"node{number:04} none": told for number in range(self.workers)}

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        self.out.append(((worker, first), self.worker.run(first, names, content)))
        return worker, first

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        return (self.out[0][0],)

    def answer(self, ticket: Hashable) -> Answer:
        return self.out.popleft()[1]

    def replaced(self, worker: str) -> dict[str, Introduction]:
        return {}

    def close(self) -> None:
        self.worker.close()


@pytest.mark.slow
def test_the_one_who_hands_out_to_a_thousand_nodes_holds_little(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, workers = 20_000, 1_000
    times = images // demo_data.shards[0].shape[0]
    names = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(times * demo_data.shards[0].shape[0]))
    dataset = replace(demo_data.dataset, names=names, labels=(0,) * len(names), image_sha256=("0" * 64,) * len(names))
    data = replace(demo_data, dataset=dataset, shards=demo_data.shards[:1] * times)
    options, _ = BuildRequest(backend="null").options(1)
    artifact, _ = compile_into(demo_model, options, tmp_path / "compiled")
    monkeypatch.setattr(Spread, "crew", lambda self, task: Thousand(task, workers))
    peak = PeakMemory()
    before = peak.bytes()
    record = shared(artifact, data, tmp_path / "out", Spread(cluster="simulated"))
    assert peak.bytes() - before < 400 << 20
    result = record.results[0]
    assert result.accuracy is not None
    assert result.accuracy.count == len(names)
    assert len(result.performance.shares) == workers
    assert sum(share.images for share in result.performance.shares) == len(names)
    assert max(share.shards for share in result.performance.shares) <= 8
    assert len(result.performance.call_seconds) == len(names)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "local", "--device", "cpu,cpu"], "give one --device"),
        (["--cluster", "local", "--interleave"], "--interleave"),
        (["--device", "cpu,cpu", "--profile"], "--profile"),
        (["--device", "cpu,nine"], "nine"),
        (["--device", "0,7"], "unknown device of backend slow '7'"),
    ],
)
def test_what_excludes_each_other_is_said(
    words: list[str],
    said: str,
    artifact: CompiledModel,
    demo_data: PreparedDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepared = demo_data.shards[0].file.path.parent
    status = main(["bench", str(artifact.file.path), "--data", str(prepared), *words, "-o", str(tmp_path / "out")])
    assert status in (1, 2)
    assert said in capsys.readouterr().err


def test_without_ray_it_says_what_to_install(
    artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"assay-inference\[ray\]"):
        shared(artifact, demo_data, tmp_path / "out", Spread(cluster="local"))


@pytest.mark.long
@pytest.mark.xdist_group("a cluster")
@pytest.mark.filterwarnings("ignore")
class TestRay:
    """Real nodes on this machine, of one core each."""

    @pytest.fixture(scope="class")
    def cluster(self) -> Iterator[Any]:
        """A cluster of one node."""
        pytest.importorskip("ray", reason="needs the extra `ray`")
        import ray
        from ray.cluster_utils import Cluster

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
            yield found
        finally:
            ray.shutdown()
            found.shutdown()

    @pytest.fixture
    def nodes(self, cluster: Any) -> Iterator[Any]:
        """The cluster, which has its one node again after each test."""
        import ray

        yield cluster
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node)
        while sum(node["Alive"] for node in ray.nodes()) > 1:
            time.sleep(0.05)

    def test_a_node_that_is_killed_half_way_costs_nothing_but_time(
        self, nodes: Any, artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
    ) -> None:
        # So slow that it is at work when it dies, even where dying takes some seconds.
        second = nodes.add_node(num_cpus=1, env_vars={slow.CALL: "0.5"})
        nodes.wait_for_nodes()
        out = tmp_path / "out"

        def kill() -> None:
            while not any(second.node_id[:6] in path.read_text() for path in out.rglob("shards/*.json")):
                time.sleep(0.01)
            nodes.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        began = time.monotonic()
        record = shared(artifact, demo_data, out, Spread(cluster=nodes.address))
        assert record.results[0].performance.wall_seconds < time.monotonic() - began
        killer.join()
        assert is_as(record, one)
        assert holds_together(record.results[0])
        shares = record.results[0].performance.shares
        assert [share.lost for share in sorted(shares, key=lambda share: share.lost)] == [False, True]
        assert all(share.images for share in shares)
        assert any("died" in warning for warning in record.warnings)

    def test_a_worker_that_is_killed_is_started_again(
        self,
        nodes: Any,
        artifact: CompiledModel,
        demo_data: PreparedDataset,
        one: RunRecord,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out = tmp_path / "out"
        gather = clusters.Cluster.gather

        def gathered(self: clusters.Cluster) -> Any:
            found = gather(self)
            import ray

            (hand,) = self._hands.values()
            process = ray.get(hand.actor.__ray_call__.remote(lambda actor: os.getpid()))

            def kill() -> None:
                while not list(out.rglob("shards/*.json")):
                    time.sleep(0.01)
                os.kill(process, signal.SIGKILL)

            threading.Thread(target=kill, daemon=True).start()
            return found

        monkeypatch.setattr(clusters.Cluster, "gather", gathered)
        record = shared(artifact, demo_data, out, Spread(cluster=nodes.address))
        assert is_as(record, one)
        assert holds_together(record.results[0])
        assert [share.lost for share in record.results[0].performance.shares] == [True, False]

    @pytest.mark.slow
    def test_the_driver_of_a_cluster_killed_goes_on_from_the_whole_shards(
        self, nodes: Any, artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
    ) -> None:
        over = Spread(cluster=nodes.address)
        result = killed_and_resumed(artifact, demo_data, tmp_path / "out", over)
        assert result.accuracy == one.results[0].accuracy

    def test_another_kind_of_processor_has_an_artifact_of_its_own(
        self, nodes: Any, artifact: CompiledModel, demo_data: PreparedDataset, one: RunRecord, tmp_path: Path
    ) -> None:
        nodes.add_node(num_cpus=1, env_vars={slow.KIND: "another"})
        nodes.wait_for_nodes()
        record = shared(artifact, unseen(demo_data), tmp_path / "out", Spread(cluster=nodes.address))
        assert is_as(record, one)
        performance = record.results[0].performance
        assert len(performance.shares) == 2
        assert all(share.images for share in performance.shares)

    def test_a_node_on_which_the_artifact_does_not_open_says_why(
        self, nodes: Any, artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path
    ) -> None:
        nodes.add_node(num_cpus=1, env_vars={slow.FULL: "1"})
        nodes.wait_for_nodes()
        with pytest.raises(BackendError, match="the device of this node is taken"):
            shared(artifact, demo_data, tmp_path / "out", Spread(cluster=nodes.address))

    @pytest.mark.slow
    def test_a_worker_that_dies_before_it_is_ready_is_named(
        self, nodes: Any, artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path
    ) -> None:
        nodes.add_node(num_cpus=1, env_vars={slow.DEADLY: "1"})
        nodes.wait_for_nodes()
        with pytest.raises(BackendError) as caught:
            shared(artifact, demo_data, tmp_path / "out", Spread(cluster=nodes.address))
        assert_says(caught, "cpu was lost before it was ready", "run it again")

    def test_a_node_with_other_decoders_is_named(self, nodes: Any, artifact: CompiledModel, tmp_path: Path) -> None:
        from assay import demo

        nodes.add_node(num_cpus=1, env_vars={slow.DECODERS: "1"})
        nodes.wait_for_nodes()
        with pytest.raises(BackendError, match="decodes images by other versions than this machine"):
            shared(
                artifact,
                Images.of(demo.IMAGES, None),
                tmp_path / "out",
                Spread(cluster=nodes.address),
            )

    def test_an_image_that_cannot_be_used_is_named(self, nodes: Any, artifact: CompiledModel, tmp_path: Path) -> None:
        from assay import demo

        folder = tmp_path / "images"
        folder.mkdir()
        for path in sorted(demo.IMAGES.iterdir())[:20]:
            (folder / path.name).write_bytes(path.read_bytes())
        broken = sorted(folder.iterdir())[7]
        broken.write_bytes(broken.read_bytes()[:40])
        with pytest.raises(Exception, match=broken.name):
            shared(artifact, Images.of(folder, None), tmp_path / "out", Spread(cluster=nodes.address))


@pytest.mark.xdist_group("a cluster")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_said(
    artifact: CompiledModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.raises(BackendError) as caught:
        shared(artifact, demo_data, tmp_path / "out", Spread(cluster="127.0.0.1:1"))
    assert_says(caught, "cluster 127.0.0.1:1", "ray start --head")


@pytest.mark.xdist_group("a cluster")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_what_listens_there_and_is_no_cluster_is_said(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    monkeypatch.setattr(ray_calls, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def answer() -> None:
            held.append(server.accept()[0])
            held[0].sendall(greeting)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BackendError) as caught:
            ray_calls.connect(address)
        thread.join()
        held[0].close()
    assert_says(caught, f"cannot connect to the cluster {address} (what listens there is no Ray)", "ray start --head")


@pytest.mark.long
@pytest.mark.xdist_group("a cluster")
@pytest.mark.filterwarnings("ignore")
def test_the_command_shares_a_run_on_a_local_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    from assay import demo

    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    words = ["run", str(demo.ONNX), "--images", str(demo.IMAGES), "--labels", str(demo.LABELS), *transform]
    words += ["--batch", "16", "--no-prepare", "--cluster", "local", "--reference", "top1=92.5", "-o", str(tmp_path)]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # The sockets of Ray itself have no room for the name of a test's folder.
    environment = {**os.environ, "TMPDIR": str(scratch), "RAY_TMPDIR": tempfile.gettempdir()}
    done = subprocess.run(
        [sys.executable, "-m", "assay", *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    # No node keeps the artifact.
    assert not list(scratch.glob("assay-*"))
    assert "worker" in done.stdout
    assert "verdict PASS" in done.stdout
    assert json.loads((tmp_path / "run.json").read_text())["body"]["results"][0]["performance"]["shares"]
