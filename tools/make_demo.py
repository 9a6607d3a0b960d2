"""Makes everything that ships in `assay.demo` from one seed: images, labels, weights, ONNX, and its accuracy.

    python tools/make_demo.py

The images are drawn here, so no licence is in the way. Training images come from the same generator with
other seeds; the shipped images are never seen in training. The same seed and versions on the same machine
give the same files.
"""

import argparse
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import demo_images
from assay import demo
from assay.data import transform as image_transform
from assay.demo.network import build
from assay.models import checkpoint, weights_file
from assay.models import export as exporter
from assay.records import ImageTransform

TRAINING, SHIPPED = 0, 1
SHIPPED_IMAGES = 240
SHIPPED_SHORT_SIDES = (60, 300)
# Training sees every image at 72 pixels, so drawing it large would only cost time.
TRAINING_SHORT_SIDES = (60, 120)
BATCH = 128

TRANSFORM = ImageTransform(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)

Scorer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """Draw, train, write, export, measure."""
    options = parse()
    started = time.perf_counter()
    labels = write_shipped_images(options.seed)
    network = train(*draw_training_images(options.seed, options.images), options.seed, options.epochs)
    write_checkpoint(network, demo.CHECKPOINT)
    network = load_checkpoint(demo.CHECKPOINT)
    exporter.export(network, demo.CROP, exporter.OPSET, demo.ONNX, demo.ONNX.with_suffix(".data"))
    pixels = prepare_shipped_images()
    correct_at = measure(exporter.score_function(network), pixels, labels)
    if measure(onnx_scorer(demo.ONNX), pixels, labels) != correct_at:
        raise SystemExit(f"{demo.ONNX.name} and {demo.CHECKPOINT.name} score differently: nothing to ship")
    write_record(options, network, correct_at)
    print(f"correct at 1 to 5: {correct_at} of {len(labels)}")
    print(f"top-1 {demo.TOP1:.2f} %, top-5 {demo.TOP5:.2f} %")
    print(f"{size_shipped() / 1e6:.2f} MB in {time.perf_counter() - started:.0f} s")


def parse() -> argparse.Namespace:
    """The command line; its defaults make what is checked in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--images", type=int, default=10_000, help="training images")
    parser.add_argument("--epochs", type=int, default=8)
    return parser.parse_args()


def shuffled_labels(seed: int, split: int, count: int) -> NDArray[np.int64]:
    """Equally many of each class, in an order that does not show the class."""
    labels = np.arange(count, dtype=np.int64) % len(demo.CLASSES)
    return np.random.default_rng([seed, split]).permutation(labels)


def draw(seed: int, split: int, index: int, label: int) -> bytes:
    """One image of one split as a JPEG; it depends on nothing but these four numbers."""
    sides = SHIPPED_SHORT_SIDES if split == SHIPPED else TRAINING_SHORT_SIDES
    return demo_images.jpeg(np.random.default_rng([seed, split, index]), demo.CLASSES[label], sides)


def write_shipped_images(seed: int) -> NDArray[np.int64]:
    """Draw the shipped images, write them and their labels file, and return the labels."""
    labels = shuffled_labels(seed, SHIPPED, SHIPPED_IMAGES)
    shutil.rmtree(demo.IMAGES, ignore_errors=True)
    demo.IMAGES.mkdir()
    lines = []
    for index, label in enumerate(labels.tolist()):
        name = f"demo_val_{index + 1:08d}.JPEG"
        (demo.IMAGES / name).write_bytes(draw(seed, SHIPPED, index, label))
        lines.append(f"{name} {label}\n")
    demo.LABELS.write_text("".join(lines), encoding="utf-8", newline="\n")
    return labels


def draw_training_images(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Training images, uint8 (N, 3, 72, 72), and their labels."""
    labels = shuffled_labels(seed, TRAINING, count)
    with multiprocessing.Pool() as pool:
        jobs = ((seed, TRAINING, index, label) for index, label in enumerate(labels.tolist()))
        images = pool.starmap(draw_training_image, jobs, chunksize=100)
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


def draw_training_image(seed: int, split: int, index: int, label: int) -> NDArray[np.uint8]:
    """One training image, decoded and resized as the shipped ones are, with a margin for random crops."""
    return image_transform.pixels(draw(seed, split, index, label), msgspec.structs.replace(TRANSFORM, crop=demo.RESIZE))


def normalise(pixels: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) to what the network takes."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (demo.MEAN, demo.STD))
    return (pixels.float() / 255 - mean) / std


def train(images: Tensor, labels: Tensor, seed: int, epochs: int) -> nn.Module:
    """A trained network, in evaluation mode."""
    torch.manual_seed(seed)
    network = build(len(demo.CLASSES))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, epochs=epochs, steps_per_epoch=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(images))[: steps * BATCH].view(steps, BATCH):
            loss = loss_of(network(normalise(augment(images[chosen]))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.3f} in {seconds:.1f} s", flush=True)
    return network.eval()


def augment(pixels: Tensor) -> Tensor:
    """Random crops of a batch, half of them mirrored: no class changes in a mirror."""
    offsets = torch.randint(demo.RESIZE - demo.CROP + 1, (len(pixels), 2)).tolist()
    crops = [p[:, y : y + demo.CROP, x : x + demo.CROP] for p, (y, x) in zip(pixels, offsets, strict=True)]
    mirrored = torch.rand(len(crops)) < 0.5
    batch = torch.stack(crops)
    batch[mirrored] = batch[mirrored].flip(3)
    # Convolutions on a processor run about half as fast again in this layout.
    return batch.contiguous(memory_format=torch.channels_last)


def write_checkpoint(network: nn.Module, path: Path) -> None:
    """A plain state dictionary; half precision halves the file and costs no accuracy that shows."""
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}, path)


def load_checkpoint(path: Path) -> nn.Module:
    """The network as it ships: weights rounded to half precision and widened again."""
    network = build(len(demo.CLASSES))
    checkpoint.fill(network, weights_file.load(path), path.name)
    return network.eval()


def prepare_shipped_images() -> NDArray[np.float32]:
    """The shipped files through the demo's transform, (N, 3, 64, 64)."""
    batch = np.stack([image_transform.pixels(path.read_bytes(), TRANSFORM) for path in sorted(demo.IMAGES.iterdir())])
    return image_transform.normalise(batch, TRANSFORM, np.empty((len(batch), 3, demo.CROP, demo.CROP), np.float32))


def onnx_scorer(path: Path) -> Scorer:
    """Scores by the exported file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: np.asarray(session.run(["class"], {"image": batch})[0])


def measure(scorer: Scorer, pixels: NDArray[np.float32], labels: NDArray[np.int64]) -> list[int]:
    """How many images have their class among the best 1, 2, 3, 4 and 5 scores."""
    best = np.argsort(-scorer(pixels), axis=1, kind="stable")[:, :5]
    hits = best == labels[:, None]
    return [int(count) for count in hits.cumsum(axis=1).sum(axis=0)]


def write_record(options: argparse.Namespace, network: nn.Module, correct_at: list[int]) -> None:
    """What was measured, and what it takes to make it again."""
    record = {
        "seed": options.seed,
        "training_images": options.images,
        "epochs": options.epochs,
        "parameters": sum(p.numel() for p in network.parameters()),
        "images": SHIPPED_IMAGES,
        "correct_at": correct_at,
        "made_with": {"torch": torch.__version__, "numpy": np.__version__, "pillow": PIL.__version__},
    }
    demo.MEASURED.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def size_shipped() -> int:
    """Bytes of everything the tool wrote."""
    files = [demo.CHECKPOINT, demo.ONNX, demo.LABELS, demo.MEASURED, *demo.IMAGES.iterdir()]
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    main()
