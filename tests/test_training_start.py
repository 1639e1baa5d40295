"""Networks that begin awake."""

from __future__ import annotations

import torch

from a3d_edge.models.checkpoint import norms
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.widths import Run
from a3d_edge.training.start import awaken


def test_an_awakened_network_s_first_gradients_reach_every_convolution(
    tiny_description: SlowDescription,
) -> None:
    """Asleep, the convolutions within the blocks get none; nothing but the norms that were 0 is changed."""
    torch.manual_seed(0)
    model = tiny_description.build().train()
    asleep = {name: norm.weight.detach().clone() for name, norm in norms(model).items()}
    x = torch.randn(2, 3, 4, 32, 32)

    def untouched() -> set[str]:
        model.zero_grad()
        model.run(x, Run()).square().sum().backward()
        return {n for n, p in model.named_parameters() if n.endswith("conv.weight") and not p.grad.any()}

    convolutions = {name for name, _ in model.named_parameters() if name.endswith("conv.weight")}
    assert untouched() == {name for name in convolutions if ".blocks." in name and ".shortcut." not in name}
    awaken(model)
    assert untouched() == set()
    for name, norm in norms(model).items():
        assert torch.equal(norm.weight, asleep[name] if asleep[name].any() else torch.ones_like(norm.weight))
