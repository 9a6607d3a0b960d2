"""`--backend auto`: trials of the installed backends, and the fastest that keeps the scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay import demo
from assay.backends import registry
from assay.cli.main import main
from assay.errors import BackendError
from assay.progress import Silent
from assay.records import BackendChoice, OnnxModel
from assay.steps import choose_backend
from assay.steps.artifact import load_compiled
from assay.steps.build_options import BuildRequest
from assay.steps.choose_backend import Wanted, choose, resolve
from assay.storage import store
from tests.backends import faulty
from tests.messages import assert_says


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_backend, "TRY_SECONDS", 0.3)


def use(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    known = {**registry.BACKENDS, **faulty.TABLE}
    monkeypatch.setattr(registry, "BACKENDS", {name: known[name] for name in names})


def test_the_fastest_that_keeps_the_scores_wins_and_a_crash_costs_only_itself(
    demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "null", "slow", "crashing", "absent", "wrong", "onnxruntime")
    notes, again = Notes(), Notes()
    request, record = BuildRequest(backend="auto"), tmp_path / "choice.json"
    options, _ = resolve(Wanted(request, demo_model, 2), record, progress=notes)
    assert options.backend == "onnxruntime"
    kept = store.read(record, BackendChoice)
    assert [trial.backend for trial in kept.attempts] == ["onnxruntime", "slow", "crashing", "wrong"]
    assert [trial.problem is None for trial in kept.attempts] == [True, True, False, False]
    assert notes.said[0].startswith("auto: batch 2: slow ")
    assert "crashing is out: backend crashing crashed (SIGSEGV) while trying demo at batch 2" in notes.said[1]
    assert "wrong is out: compiling demo with wrong changed the scores" in notes.said[2]
    assert notes.said[-1] == f"auto: batch 2: onnxruntime; what was tried is in {record}"
    assert resolve(Wanted(request, demo_model, 2), record, progress=again)[0] == options
    assert again.said == [f"auto: batch 2: onnxruntime (kept); what was tried is in {record}"]


def test_where_none_can_each_says_why(demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "null", "crashing", "greedy", "absent")
    with pytest.raises(BackendError) as caught:
        choose(Wanted(BuildRequest(backend="auto"), demo_model, 2), tmp_path)
    assert_says(
        caught, "no installed backend can run demo at batch 2", "crashing: ", "greedy: ", "give a smaller batch"
    )
    assert "\n" not in str(caught.value)


def test_a_backend_that_lacks_what_was_asked_for_is_out(demo_model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="unknown setting of backend onnxruntime 'nonsense'"):
        choose(Wanted(BuildRequest(set={"nonsense": "1"}), demo_model, 1), tmp_path)


@pytest.mark.long
def test_the_commands_take_it(
    demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, "null", "onnxruntime")
    model = str(demo_model.file.path)
    assert main(["compile", model, "--backend", "auto", "--batch", "2", "-o", str(tmp_path / "artifact")]) == 0
    assert store.read(tmp_path / "artifact.choice.json", BackendChoice).chosen == "onnxruntime"
    assert load_compiled(tmp_path / "artifact").options.backend == "onnxruntime"
    bench = ["bench", model, "--backend", "auto", "--batch", "2", "--synthetic", "--iterations", "2"]
    assert main([*bench, "-o", str(tmp_path / "BENCH")]) == 0
    run = ["run", model, "--images", str(demo.IMAGES), "--labels", str(demo.LABELS), "--backend", "auto"]
    assert main([*run, "--batch", "4", "-o", str(tmp_path / "RUN")]) == 0
    assert store.read(tmp_path / "RUN" / "choice-4.json", BackendChoice).batch == 4
    assert "auto: batch 4: onnxruntime " in capsys.readouterr().err
