"""A bundle in the place of a PyTorch network, so that what is deployed is measured as what was trained is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.engines import Engine
from a3d_edge.engine.session import BundleNetwork, available_threads
from a3d_edge.labels import labels_of
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.models.from_bundle import description_of
from a3d_edge.models.network import Clips, fit_pathway

__all__ = ["BundleModel", "as_checkpoint"]


def as_checkpoint(bundle: Bundle, engine: Engine | None = None) -> Checkpoint:
    """A bundle as what `evaluate` and the command line take: its own graphs are the model."""
    manifest = bundle.manifest
    model: Any = BundleModel(bundle, engine)  # answers as a SlimNetwork does; it has no weights to change
    return Checkpoint(
        model, labels_of(bundle.classes), bundle.preprocessing, manifest.range, dict(manifest.origin)
    )


class BundleModel(nn.Module):
    """``model(clips, configuration)`` as `SlimNetwork` answers it, computed by the bundle's graphs.

    Networks stay loaded. Raises what `BundleNetwork` raises.
    """

    def __init__(self, bundle: Bundle, engine: Engine | None = None) -> None:
        super().__init__()
        self.description = description_of(bundle)
        self._bundle, self._engine = bundle, engine
        self._networks: dict[Configuration, BundleNetwork] = {}
        self.register_parameter("place", nn.Parameter(torch.empty(0)))  # where clips are wanted: the CPU

    def forward(self, clips: Clips, configuration: Configuration) -> Tensor:
        """Logits ``(N, classes)`` of clips ``(N, 3, T, S, S)``, or ``[slow, fast]``; ``(K, classes)`` of the
        boxes of `BoxedClips`."""
        network = self._network(configuration)
        if isinstance(clips, BoxedClips):
            return self._of_people(network, clips)
        given = [clips] if isinstance(clips, Tensor) else clips
        fitted = [
            fit_pathway(x, len(pathway.instants), pathway.size).transpose(1, 2).contiguous().cpu().numpy()
            for x, pathway in zip(given, network.pathways, strict=True)
        ]
        windows = zip(*fitted, strict=True)
        return torch.from_numpy(np.stack([network.logits(*network.encode_window(w)) for w in windows]))

    def _of_people(self, network: BundleNetwork, given: BoxedClips) -> Tensor:
        """Logits of every box, in their order."""
        clips = [given.clips] if isinstance(given.clips, Tensor) else given.clips
        fitted = [
            fit_pathway(x, len(pathway.instants), pathway.size)
            for x, pathway in zip(clips, network.pathways, strict=True)
        ]
        boxes = given.fitted(fitted if len(fitted) > 1 else fitted[0]).boxes
        logits = torch.zeros(len(boxes.by_pathway[0]), len(self._bundle.classes))
        for number in range(len(fitted[0])):
            window = [x[number].transpose(0, 1).contiguous().cpu().numpy() for x in fitted]
            mine = boxes.of_clip(number)
            there = boxes.by_pathway[0][mine].cpu().numpy()
            logits[mine] = torch.from_numpy(network.logits(*network.encode_window(window), boxes=there))
        return logits

    def _network(self, configuration: Configuration) -> BundleNetwork:
        if configuration not in self._networks:
            threads = available_threads()
            self._networks[configuration] = BundleNetwork(
                self._bundle.files_of(configuration), threads, self._engine
            )
        return self._networks[configuration]
