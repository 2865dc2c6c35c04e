"""A run of a network, written down, is the network: also where it writes into its own tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from wire.troubles import Refused
from workshop.reading.torch_recording import recorded


def in_place(x: torch.Tensor) -> torch.Tensor:
    made = torch.zeros_like(x)
    made[:, :1] = x[:, 1:]
    made[:, 1:] += x[:, :1].relu_()
    return made


def into_a_constant_place(x: torch.Tensor) -> torch.Tensor:
    made = torch.zeros(1, 2, 4, 4)
    made[:, 0] = x[:, 1]
    return made * made.sum()


def several(x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    first, second = x.chunk(2, 1)
    values, places = first.flatten().topk(3)
    return second, {"values": values, "places": places}


def resized(x: torch.Tensor) -> torch.Tensor:
    twice = nn.functional.interpolate(x, scale_factor=1.7, mode="nearest")
    smooth = nn.functional.interpolate(twice, scale_factor=1.3, mode="bilinear")
    fixed = nn.functional.interpolate(smooth, [9, 5], mode="bilinear", align_corners=True)
    return nn.functional.interpolate(fixed, [4, 7], mode="nearest")


def by_its_size(x: torch.Tensor) -> torch.Tensor:
    return x * (2 if x.shape[1] == int(torch.tensor([2])[0]) else 3)


@pytest.mark.parametrize(
    "network", [in_place, into_a_constant_place, several, resized, by_its_size]
)
def test_it_does_the_same_for_other_inputs(network: Callable[..., object]) -> None:
    written = recorded("it", lambda x: network(x.clone()), torch.rand(1, 2, 4, 4))
    for _ in range(3):
        given = torch.rand(1, 2, 4, 4) - 0.5
        expected = torch.utils._pytree.tree_leaves(network(given.clone()))
        for found, wanted in zip(written(given), expected, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    "network",
    [lambda x: x * float(x.sum()), lambda x: x if x[0, 0, 0, 0] > 0 else -x],
    ids=["number", "branch"],
)
def test_what_decides_by_values_of_its_input_is_refused(network: Callable[..., object]) -> None:
    with pytest.raises(Refused, match="it: decides by values of its input"):
        recorded("it", network, torch.rand(1, 2, 4, 4))
