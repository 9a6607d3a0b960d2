"""One suite for every backend of the table that is installed."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay import demo
from assay.backends import opening, registry
from assay.backends.base import Backend, Batch, Scores
from assay.data.prepared import Reader
from assay.data.transform import TransformChoice, normalise
from assay.errors import BackendError, MissingExtraError, ModelError, ParityError, RecordError, UnknownNameError
from assay.records import CompiledModel, InputKind, OnnxModel, Precision, PreparedDataset, Runnable
from assay.steps import parity
from assay.steps.adopt import describe
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest, usual_precision
from assay.steps.export import export
from assay.steps.measurement import Length, Measuring, measure
from assay.storage import store
from tests.onnx_variants import save

BATCH = 4
SIZES = (1, 4, 8, 16, 32, 64)
Compile = Callable[..., CompiledModel]


def _param(name: str, *values: object, again: bool = False) -> object:
    """torch compiles C++ for ten seconds and more: its tests share what is compiled, in one worker, and are long.

    Those that compile `again` are slow.
    """
    marks = [pytest.mark.xdist_group("torch"), pytest.mark.long, *([pytest.mark.slow] if again else [])]
    return pytest.param(name, *values, marks=marks if name == "torch" else [])


compiling_again = pytest.mark.parametrize(
    "backend", [_param(name, again=True) for name in sorted(registry.BACKENDS)], indirect=True
)


@pytest.fixture(params=[_param(name) for name in sorted(registry.BACKENDS)])
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        found = registry.get(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))
    if not found.devices():
        pytest.skip(f"{request.param} finds no device")
    return found


@pytest.fixture
def model(backend: Backend, request: pytest.FixtureRequest) -> OnnxModel:
    """The demo as the backend can start from it."""
    found: OnnxModel = request.getfixturevalue("exported" if needs_program(backend) else "demo_model")
    return found


def needs_program(backend: Backend) -> bool:
    return backend.starts_from == "exported program"


def with_program(folder: Path, weights: Path) -> OnnxModel:
    return export(weights, arch=demo.NAME, out=folder / "model.onnx", pt2=True)


@pytest.fixture
def compiled(backend: Backend, model: OnnxModel, kept: Path) -> Compile:
    """The demo's model for the backend, made once for all tests."""

    def compile_demo(batch: int = BATCH, kind: InputKind = "uint8") -> CompiledModel:
        return compile_for(backend, model, kept / backend.name, kind, batch)

    return compile_demo


def compile_for(
    backend: Backend, model: OnnxModel, folder: Path, kind: InputKind = "uint8", batch: int = BATCH
) -> CompiledModel:
    options, _ = BuildRequest(backend=backend.name, precision=precision_of(backend), input=kind).options(batch)
    return compile_into(model, options, folder)[0]


def precision_of(backend: Backend) -> Precision:
    """Single precision where the device computes in it."""
    return usual_precision(backend.precisions(backend.devices()[0]))


def bound(backend: Backend) -> float:
    """How far scores may be from the model's, over the largest one."""
    return parity.BOUNDS[precision_of(backend)].difference


def pixels(data: PreparedDataset, count: int, first: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    side = data.transform.crop
    batch = np.zeros((count, side, side, 3), np.uint8)
    Reader(data.shards).read(first, count, batch)
    return batch


def faithful(backend: Backend) -> None:
    if not backend.faithful:
        pytest.skip(f"the scores of {backend.name} are made up")


def test_a_backend_describes_itself(backend: Backend) -> None:
    assert backend.name in registry.BACKENDS
    assert backend.version()
    for device in backend.devices():
        settings = {**backend.build_settings(device), **backend.run_settings(device)}
        assert all(values for values in settings.values())
        assert set(backend.build_settings(device)).isdisjoint(backend.run_settings(device))
        assert backend.target(device) == backend.target(device)
        assert backend.precisions(device)


@pytest.mark.parametrize(
    ("backend", "batch"),
    [_param(name, batch, again=batch != BATCH) for name in sorted(registry.BACKENDS) for batch in SIZES],
    indirect=["backend"],
)
def test_every_batch_size_gives_the_scores_of_the_model(
    backend: Backend, batch: int, model: OnnxModel, demo_data: PreparedDataset, compiled: Compile
) -> None:
    given = pixels(demo_data, batch)
    with backend.open(compiled(batch), {}) as session:
        scores = session.infer(given)
        assert session.device in backend.devices()
        assert tuple(session.input.shape) == (batch, 64, 64, 3)
        assert tuple(session.output.shape) == (batch, 10)
    assert scores.shape == (batch, 10)
    assert scores.dtype == np.float32
    if backend.faithful:
        expected = scores_of_the_model(model, given)
        assert np.abs(scores - expected).max() <= bound(backend) * np.abs(expected).max()


def scores_of_the_model(model: OnnxModel, given: Batch) -> Scores:
    import onnxruntime

    floats = normalise(given, model.transform, np.empty((len(given), 3, 64, 64), np.float32))
    session = onnxruntime.InferenceSession(str(model.file.path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {model.input.name: floats})[0])


def test_the_caller_owns_the_scores(backend: Backend, demo_data: PreparedDataset, compiled: Compile) -> None:
    with backend.open(compiled(), {}) as session:
        batch = pixels(demo_data, BATCH)
        first = session.infer(batch)
        kept = first.copy()
        session.infer(pixels(demo_data, BATCH, BATCH))
        np.testing.assert_array_equal(first, kept)
        first[...] = 0
        np.testing.assert_array_equal(session.infer(batch), kept)
    np.testing.assert_array_equal(first, 0)


def test_the_given_batch_is_left_as_it_was(backend: Backend, demo_data: PreparedDataset, compiled: Compile) -> None:
    batch = pixels(demo_data, BATCH)
    with backend.open(compiled(), {}) as session:
        session.infer(batch)
    np.testing.assert_array_equal(batch, pixels(demo_data, BATCH))


def test_scores_from_bytes_are_those_from_normalised_floats(
    backend: Backend, model: OnnxModel, demo_data: PreparedDataset, compiled: Compile
) -> None:
    batch = pixels(demo_data, BATCH)
    floats = normalise(batch, model.transform, np.empty((BATCH, 3, 64, 64), np.float32))
    with backend.open(compiled(), {}) as session:
        from_bytes = session.infer(batch)
    with backend.open(compiled(kind="float32"), {}) as session:
        from_floats = session.infer(floats)
    if backend.name in ("onnxruntime", "null"):
        np.testing.assert_array_equal(from_bytes, from_floats)
    np.testing.assert_allclose(from_bytes, from_floats, atol=1e-5 * float(np.abs(from_floats).max()), rtol=0)
    np.testing.assert_array_equal(np.argsort(-from_bytes)[:, :5], np.argsort(-from_floats)[:, :5])


def test_as_many_threads_as_there_are_slots_get_the_scores_of_their_own_batches(
    backend: Backend, demo_data: PreparedDataset, compiled: Compile
) -> None:
    several = {key: values[-1] for key, values in backend.run_settings(backend.devices()[0]).items()}
    batches = [pixels(demo_data, BATCH, first) for first in range(0, 40, BATCH)]
    with backend.open(compiled(), several) as session:
        assert session.slots > 1 if several else session.slots == 1
        expected = [session.infer(batch) for batch in batches]
        with ThreadPoolExecutor(session.slots) as threads:
            found = list(threads.map(session.infer, batches * 4))
    for number, scores in enumerate(found):
        np.testing.assert_array_equal(scores, expected[number % len(batches)])


@compiling_again
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the states of threads are Linux's")
def test_batches_in_flight_are_computed_at_the_same_time(
    backend: Backend, demo_data: PreparedDataset, compiled: Compile
) -> None:
    """Calls that wait for one another leave all threads but one asleep, on however busy a machine."""
    if "streams" not in backend.run_settings("cpu") or backend.devices()[0] != "cpu":
        pytest.skip(f"{backend.name} has no batches in flight on the processor")
    # One thread a batch, which OpenVINO counts over all of them.
    settings = {"streams": 2, "threads": 2 if backend.name == "openvino" else 1}
    batch, one_at_a_time = pixels(demo_data, 64), threading.Lock()
    with backend.open(compiled(64), settings) as session:
        assert session.slots == 2

        def in_turn() -> None:
            with one_at_a_time:
                session.infer(batch)

        session.infer(batch)
        assert share_of_time_at_once(lambda: session.infer(batch)) > 0.5
        assert share_of_time_at_once(in_turn) < 0.3


def share_of_time_at_once(call: Callable[[], object]) -> float:
    """Two threads that call over and over: of looks at the process, in how many two threads or more want to run."""
    ended = threading.Event()

    def over_and_over() -> None:
        while not ended.is_set():
            call()

    callers = [threading.Thread(target=over_and_over) for _ in range(2)]
    for caller in callers:
        caller.start()
    looks = []
    for _ in range(200):
        time.sleep(0.003)
        states = {one.name: state(one) for one in Path("/proc/self/task").iterdir()}
        states.pop(str(threading.get_native_id()), None)
        looks.append(sum(found == "R" for found in states.values()) >= 2)
    ended.set()
    for caller in callers:
        caller.join()
    return float(np.mean(looks))


def state(task: Path) -> str:
    """Of one thread: R where it runs or could."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


@pytest.mark.long
@compiling_again
def test_closing_gives_the_memory_back(backend: Backend, compiled: Compile, demo_data: PreparedDataset) -> None:
    """What is left after the first ones is the runtime's own; a session that stayed would be tens of megabytes."""
    artifact, batch = compiled(64), pixels(demo_data, 64)

    def once() -> int:
        with backend.open(artifact, {}) as session:
            session.infer(batch)
        gc.collect()
        return int(psutil.Process().memory_info().rss)

    before = [once() for _ in range(4)][-1]
    after = [once() for _ in range(20)][-1]
    assert after - before < 20e6


def test_a_closed_session_leaves_no_thread_of_ours(backend: Backend, compiled: Compile) -> None:
    before = threading.active_count()
    with backend.open(compiled(), {}):
        pass
    assert threading.active_count() == before


def test_an_unknown_setting_lists_the_known_ones(backend: Backend) -> None:
    device = backend.devices()[0]
    known = [*backend.build_settings(device), *backend.run_settings(device)]
    with pytest.raises(UnknownNameError, match=f"setting of backend {backend.name} 'nonsense'") as caught:
        BuildRequest(backend=backend.name, precision=precision_of(backend), set={"nonsense": "1"}).options(1)
    assert all(name in str(caught.value) for name in known)


def test_an_unknown_device_lists_the_known_ones(backend: Backend) -> None:
    with pytest.raises(UnknownNameError, match=f"known: {', '.join(sorted(backend.devices()))}"):
        BuildRequest(backend=backend.name, device="abacus").options(1)


@compiling_again
def test_settings_of_a_run_alter_neither_key_nor_bytes(
    backend: Backend, model: OnnxModel, compiled: Compile, tmp_path: Path
) -> None:
    run = {key: str(values[-1]) for key, values in backend.run_settings(backend.devices()[0]).items()}
    options, _ = BuildRequest(backend=backend.name, precision=precision_of(backend), set=run).options(BATCH)
    other = compile_into(model, options, tmp_path)[0]
    first = compiled()
    assert (other.key, other.file.sha256) == (first.key, first.file.sha256)


def test_every_setting_of_a_run_opens_and_gives_the_same_classes(
    backend: Backend, demo_data: PreparedDataset, compiled: Compile
) -> None:
    batch, artifact = pixels(demo_data, BATCH), compiled()
    with backend.open(artifact, {}) as session:
        expected = session.infer(batch)
    for key, values in backend.run_settings(artifact.options.device).items():
        for value in values[1:]:
            with backend.open(artifact, {key: value}) as session:
                np.testing.assert_allclose(session.infer(batch), expected, atol=1e-4 * float(np.abs(expected).max()))


@compiling_again
def test_whatever_alters_the_artifact_alters_its_key(
    backend: Backend, model: OnnxModel, compiled: Compile, tmp_path: Path
) -> None:
    brighter, larger = (
        msgspec.structs.replace(model, transform=msgspec.structs.replace(model.transform, **changed))
        for changed in ({"mean": (0.4, 0.4, 0.4)}, {"resize": 100})
    )
    other = other_weights(backend, tmp_path)
    made = [
        compiled(),
        compiled(batch=1),
        compiled(kind="float32"),
        compile_for(backend, brighter, tmp_path / "brighter"),
        compile_for(backend, other, tmp_path / "other"),
    ]
    # Images made otherwise: the same bytes, and a place and a record of their own.
    keys = {artifact.key for artifact in (*made, compile_for(backend, larger, tmp_path / "larger"))}
    assert len(keys) == len(made) + 1
    if backend.faithful:
        assert len({artifact.file.sha256 for artifact in made}) == len(made)


def other_weights(backend: Backend, folder: Path) -> OnnxModel:
    """The demo with weights of its own."""
    if needs_program(backend):
        import torch

        state = torch.load(demo.CHECKPOINT, weights_only=True)
        state[list(state)[-1]] += 1
        torch.save(state, folder / "other.pth")
        return with_program(folder, folder / "other.pth")
    proto = onnx.load(str(demo.ONNX))
    last = next(one for one in proto.graph.initializer if one.name == proto.graph.node[-1].input[2])
    last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last) + 1, last.name))
    return described(save(proto, folder / "other.onnx"))


def described(path: Path) -> OnnxModel:
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    return describe(path, choice)


@compiling_again
def test_an_artifact_is_not_compiled_twice(backend: Backend, model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend=backend.name, precision=precision_of(backend)).options(BATCH)
    first, kept = compile_into(model, options, tmp_path)
    assert not kept
    again, kept = compile_into(model, options, tmp_path)
    assert kept
    assert again == first


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_an_artifact_with_changed_bytes_is_never_run(
    backend: Backend, damage: str, model: OnnxModel, compiled: Compile, tmp_path: Path
) -> None:
    content = bytearray(compiled().file.path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    path = tmp_path / "artifact"
    path.write_bytes(content if damage == "flipped" else content[: 0 if damage == "empty" else len(content) // 2])
    changed = msgspec.structs.replace(compiled(), file=msgspec.structs.replace(compiled().file, path=path))
    with pytest.raises(RecordError, match=r"artifact is damaged: it is not what its record says"):
        measure(Runnable(changed, {}), None, tmp_path / "RUN", Measuring(length=Length(batches=1)))
    if backend.faithful and damage != "flipped":
        # The runtime itself, which is asked only for files whose hash is right, does not take it either.
        broken = msgspec.structs.replace(changed, file=store.reference(path))
        with (
            pytest.raises(BackendError, match=f"^{backend.name} could not open ") as caught,
            opening.open_compiled(broken, {}),
        ):
            pass
        assert "\n" not in str(caught.value)


def test_an_operator_that_the_backend_lacks_is_one_line(backend: Backend, tmp_path: Path) -> None:
    faithful(backend)
    if needs_program(backend):
        pytest.skip("an exported program holds the operators of torch alone")
    said = rf"^(backend )?{backend.name} .*compil\w+ strange.*NoSuchOperator.*; .*another backend"
    with pytest.raises(BackendError, match=said) as caught:
        compile_for(backend, described(strange(tmp_path)), tmp_path, batch=1)
    assert "\n" not in str(caught.value)


def strange(folder: Path) -> Path:
    """A classifier whose last operator nobody has."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("NoSuchOperator", ["flat"], ["class"], domain="com.nobody"),
    ]
    graph = helper.make_graph(
        nodes,
        "strange",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 64, 64])],
        [helper.make_tensor_value_info("class", TensorProto.FLOAT, ["batch", 3])],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.nobody", 1)]
    return save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "strange.onnx")


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    """The demo's model with QuantizeLinear and DequantizeLinear around its operators."""
    from onnx import version_converter
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    folder = tmp_path_factory.mktemp("quantized")
    source = folder / "opset13.onnx"
    proto = version_converter.convert_version(onnx.load(str(demo.ONNX)), 13)
    save(proto, source)

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            generator = np.random.default_rng(0)
            name = proto.graph.input[0].name
            self.batches = iter([{name: generator.standard_normal((8, 3, 64, 64), dtype=np.float32)}])

        def get_next(self) -> dict[str, Batch] | None:
            return next(self.batches, None)

    target = folder / "quantized.onnx"
    kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(source), str(target), Noise(), quant_format=QuantFormat.QDQ, **kinds)
    return described(target)


def test_a_quantized_model_runs_or_is_refused_in_one_line(
    backend: Backend, quantized: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    faithful(backend)
    precisions = backend.precisions(backend.devices()[0])
    precision = "int8" if "int8" in precisions else precisions[0]
    options, _ = BuildRequest(backend=backend.name, precision=precision).options(8)
    artifact, refusal = None, ""
    try:
        artifact = compile_into(quantized, options, tmp_path)[0]
    except (BackendError, ModelError, ParityError) as error:
        refusal = str(error)
    if artifact is None:
        assert "int8" not in precisions
        assert "\n" not in refusal
        return
    batch = pixels(demo_data, 8)
    with backend.open(artifact, {}) as session:
        found = session.infer(batch)
    expected = scores_of_the_model(quantized, batch)
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.8


def test_a_batch_of_another_shape_is_one_line_or_scored_right(
    backend: Backend, model: OnnxModel, demo_data: PreparedDataset, compiled: Compile
) -> None:
    faithful(backend)
    batch, found, refusal = pixels(demo_data, BATCH + 1), None, ""
    with backend.open(compiled(), {}) as session:
        try:
            found = session.infer(batch)
        except BackendError as error:
            refusal = str(error)
    if found is None:
        assert "could not run a batch" in refusal
        assert "\n" not in refusal
        return
    expected = scores_of_the_model(model, batch)
    assert np.abs(found - expected).max() <= bound(backend) * np.abs(expected).max()
