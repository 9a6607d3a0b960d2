"""No evaluation on the images that a model was calibrated on."""

from __future__ import annotations

from assay.errors import DatasetError
from assay.records import Dataset, OnnxModel


def require_apart(model: OnnxModel, dataset: Dataset) -> None:
    """Raises `DatasetError` with the images of a data set whose bytes are those of a calibration image."""
    if model.quantization is None:
        return
    seen = set(model.quantization.calibration_image_sha256)
    shared = [name for name, sha256 in zip(dataset.names, dataset.image_sha256, strict=True) if sha256 in seen]
    if shared:
        raise DatasetError(
            f"{len(shared)} of {len(dataset.names)} images in {dataset.source} are among those that {model.name} was "
            "calibrated on, so it would look better than it is; evaluate it on others, or quantize it again with "
            "others",
            shared,
        )
