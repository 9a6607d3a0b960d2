from __future__ import annotations

import pytest

from assay.tuning.space import BackendSpace, Space

SPACE = Space(
    backends=(
        BackendSpace("fast", "cpu", ("int8", "fp32"), {"level": ("all", "none")}, {"threads": (0, 1, 2)}),
        BackendSpace("slow", "cpu", ("fp32",), {}, {"streams": (1, 2)}),
    ),
    batches=(1, 16),
    calibrators=("minmax", "entropy"),
    float_layers=(0, 2),
)


def test_every_candidate_comes_once() -> None:
    found = list(SPACE.candidates())
    float32, ways, settings = 1, 2 * 2 * 2, 2 * 3
    assert len(found) == 2 * (float32 + ways) * settings + 2 * 2
    assert len({str(one) for one in found}) == len(found)
    assert all(one in found for one in SPACE.starts())


def test_what_a_study_may_ask_for_is_every_candidate_and_no_other() -> None:
    optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")
    for candidate in SPACE.candidates():
        asked = optuna.trial.FixedTrial(SPACE.parameters(candidate))
        assert SPACE.suggested(asked) == candidate
        assert asked.params == SPACE.parameters(candidate)


def test_nothing_is_in_8_bits_without_a_way_to_quantize() -> None:
    space = Space(backends=SPACE.backends, batches=(1,))
    assert {(one.precision, one.calibrator, one.float_layers) for one in space.candidates()} == {("fp32", None, 0)}
