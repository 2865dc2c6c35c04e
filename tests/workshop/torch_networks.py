"""Small networks in the shapes of MobileNetV2 and YOLO, for the readers of PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

LABELS = 5
SIDE = 32


def block(inner: int, outer: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[Any]:
    padding = kernel // 2
    return [
        nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
    ]


class Inverted(nn.Module):
    """Sandler et al. 2018 (arXiv:1801.04381), section 3.3."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        wide = 4 * inner
        self.steps = nn.Sequential(
            *block(inner, wide, 1), nn.ReLU6(),
            *block(wide, wide, 3, stride, wide), nn.ReLU6(),
            *block(wide, outer, 1),
        )  # fmt: skip
        self.adds = stride == 1 and inner == outer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.steps(x)
        return x + y if self.adds else y


class MobileNet(nn.Module):
    """Inverted residuals, global pooling, softmax."""

    def __init__(self, labels: int = LABELS, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(*block(3, width, 3, 2), nn.ReLU6())
        wide = 2 * width
        self.body = nn.Sequential(
            Inverted(width, width, 1), Inverted(width, wide, 2), Inverted(wide, wide, 1)
        )
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(wide, labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(self.stem(x))
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.head(self.drop(x)).softmax(1)


class Stage(nn.Module):
    """YOLOv5's C3 in small: two ways that are joined."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        half = outer // 2
        self.long = nn.Sequential(*block(inner, half), nn.SiLU(), *block(half, half), nn.SiLU())
        self.short = nn.Sequential(*block(inner, half, 1), nn.SiLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.long(x), self.short(x)], 1)


class Yolo(nn.Module):
    """A backbone of two scales, one way up, a head at each scale."""

    def __init__(self, labels: int = LABELS, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(*block(3, width, 3, 2), nn.SiLU())
        wide, wider = 2 * width, 4 * width
        self.fine = nn.Sequential(*block(width, wide, 3, 2), nn.SiLU(), Stage(wide, wide))
        self.coarse = nn.Sequential(*block(wide, wider, 3, 2), nn.SiLU(), nn.MaxPool2d(5, 1, 2))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = Stage(wide + wider, wide)
        self.fine_head = nn.Conv2d(wide, 5 + labels, 1)
        self.coarse_head = nn.Conv2d(wider, 5 + labels, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        joined = self.join(torch.cat([self.up(coarse), fine], 1))
        return self.fine_head(joined).sigmoid(), self.coarse_head(coarse).sigmoid()


class Joined(Yolo):
    """Its heads as one list of boxes, (1, cells, 5 + labels), decoded with a grid."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        heads = super().forward(x)
        return torch.cat([self.decoded(head) for head in heads], 1)

    def decoded(self, head: torch.Tensor) -> torch.Tensor:
        height, width = head.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack([columns, rows]).float()
        centre = (head[:, :2] * 2 - 0.5 + grid) / width
        boxes = torch.cat([centre, (head[:, 2:4] * 2) ** 2, head[:, 4:]], 1)
        return boxes.flatten(2).transpose(1, 2)


def seeded(network: type[nn.Module], seed: int = 1) -> nn.Module:
    """With weights, and statistics of its batches, that are not those of a fresh one."""
    torch.manual_seed(seed)
    made = network().train()
    for _ in range(3):
        made(torch.rand(4, 3, SIDE, SIDE))
    return made.eval()
