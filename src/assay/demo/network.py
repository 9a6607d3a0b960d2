"""The demo's network: a wide residual network, `wide_resnet101_2` made small.

Its blocks are torchvision's bottlenecks with the inner width doubled: 1x1, 3x3, 1x1, and a projection where
the shape changes. Same operators as the large model, about 200,000 parameters.
"""

import torch
from torch import Tensor, nn

EXPANSION = 4
INNER_WIDTH = 2
STEM_CHANNELS = 16
STAGES = ((8, 2), (16, 2), (32, 3))
"""Planes and number of blocks of each stage; every stage after the first halves the resolution."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1, added to the shortcut."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        """The convolutions; a projection only where the shortcut's shape would not fit."""
        super().__init__()
        width, out = planes * INNER_WIDTH, planes * EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 4 * planes, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + self.downsample(x))


class WideResNet(nn.Module):
    """A stem, three stages of bottlenecks, and a linear classifier."""

    def __init__(self, classes: int) -> None:
        """Every layer, with PyTorch's initial weights."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for stage, (planes, count) in enumerate(STAGES):
            for block in range(count):
                blocks.append(Bottleneck(channels, planes, stride=2 if stage and not block else 1))
                channels = planes * EXPANSION
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, 64, 64) normalised float32 to (N, classes) logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        x = torch.flatten(self.avgpool(self.blocks(x)), 1)
        logits: Tensor = self.fc(x)
        return logits


def build(classes: int = 10) -> nn.Module:
    """A new network with untrained weights."""
    return WideResNet(classes)
