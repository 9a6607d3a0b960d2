from __future__ import annotations

from assay.quantization import layer_costs
from assay.records import LayerCost, Sensitivity


def costs(count: int) -> Sensitivity:
    return Sensitivity(
        model_sha256="",
        calibrator="minmax",
        per_channel=True,
        reduce_range=False,
        images=8,
        whole=0.284,
        layers=tuple(
            LayerCost(layer=f"Conv_{number}", operator="Conv", alone=0.2, kept_float=None if number else 0.25)
            for number in range(count)
        ),
    )


def test_the_ten_dearest_layers_have_a_line_each() -> None:
    lines = layer_costs.table(costs(12)).splitlines()
    assert lines[0].split() == ["layer", "operator", "alone", "all", "others"]
    assert lines[1].split() == ["Conv_0", "Conv", "20.00", "%", "25.00", "%"]
    assert lines[2].split() == ["Conv_1", "Conv", "20.00", "%"]
    assert len(lines) == 1 + layer_costs.SHOWN + 2
    assert lines[-1] == "all 12 layers in 8 bits move the scores by 28.40 % of their spread, on 8 calibration images"
