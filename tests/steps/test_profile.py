from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import UsageError
from assay.records import CompiledModel, OnnxModel, Runnable
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Measuring
from assay.steps.results import load_run


def compiled(model: OnnxModel, backend: str, folder: Path) -> CompiledModel:
    options, _ = BuildRequest(backend=backend).options(2)
    return compile_into(model, options, folder)[0]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_costliest_nodes_are_in_the_record(backend: str, demo_model: OnnxModel, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    artifact = compiled(demo_model, backend, tmp_path)
    record = bench_all([Runnable(artifact, {})], None, tmp_path, Measuring(length=Length(batches=5), profile=True))
    found = record.results[0].profile
    assert found is not None
    assert 3 <= found.calls <= 100
    assert len(found.nodes) == 10
    assert [node.seconds for node in found.nodes] == sorted((node.seconds for node in found.nodes), reverse=True)
    assert 0.3 < sum(node.share for node in found.nodes) <= 1.0
    assert found.nodes[0].share == pytest.approx(found.nodes[0].seconds / found.seconds)
    convolutions = [node for node in found.nodes if node.operator.startswith("Conv")]
    assert len(convolutions) >= 3
    assert all(node.gflops is not None and node.gflops > 0 for node in convolutions)
    assert load_run(tmp_path) == record


def test_without_being_asked_there_is_no_profile(demo_model: OnnxModel, tmp_path: Path) -> None:
    artifact = compiled(demo_model, "onnxruntime", tmp_path)
    record = bench_all([Runnable(artifact, {})], None, tmp_path, Measuring(length=Length(batches=2)))
    assert record.results[0].profile is None


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_backend_without_one_says_which_have_one_before_anything_is_measured(
    interleaved: bool, demo_model: OnnxModel, tmp_path: Path
) -> None:
    artifact = compiled(demo_model, "null", tmp_path)
    bench = bench_interleaved if interleaved else bench_all
    with pytest.raises(UsageError, match=r"backend null does not tell .*onnxruntime.* can"):
        bench([Runnable(artifact)] * 2, None, tmp_path / "bench", Measuring(profile=True))
    assert not (tmp_path / "bench").exists()
