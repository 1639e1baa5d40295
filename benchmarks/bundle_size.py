"""Size of a bundle against one ONNX file of the full-width network.

    python benchmarks/bundle_size.py [--arch slow_r50] [--work DIR]

Random weights; the configurations of the paper's Table 9 for that network's size. The single file is
PyTorch's own plain rank-5 export of the full-width network at its largest configuration (needs onnxscript).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from _options import parser_of
from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

from a3d_edge.configuration import Configuration
from a3d_edge.manifest import STATISTICS
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.registry import describe
from a3d_edge.models.widths import channels_at

TABLE_9 = (
    (256, 8, 1.0), (224, 8, 1.0), (224, 6, 1.0), (224, 4, 1.0), (224, 4, 0.9), (224, 4, 0.8), (192, 4, 0.8),
    (192, 4, 0.7), (224, 4, 0.5), (192, 4, 0.5), (160, 4, 0.5), (192, 2, 0.5), (160, 2, 0.5), (128, 2, 0.5),
)  # fmt: skip


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--arch", default="slow_r50")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        measure(arguments.arch, arguments.work or Path(temporary))


def measure(arch: str, work: Path) -> None:
    description = describe(arch, 400)
    torch.manual_seed(0)
    model = description.build().eval()
    scale = description.size / 224
    configurations = [Configuration(w, round(s * scale), t) for s, t, w in TABLE_9]
    for name, norm in norms(model).items():
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 1.5)
        outputs = model.get_submodule(name.rsplit(".", 1)[0] + ".conv").outputs
        for configuration in configurations:
            channels = channels_at(outputs, configuration.width)
            norm.calibrated[str(configuration)] = (norm.running_mean[:channels], norm.running_var[:channels])
    checkpoint = Checkpoint(model, tuple(f"class {i}" for i in range(400)))
    clips = {c.size: torch.randn(1, 3, description.frames, c.size, c.size) for c in configurations}
    bundle = write_bundle(checkpoint, unmeasured_table(checkpoint, configurations), clips, work / "bundle")
    ours = (
        sum(entry.bytes for entry in bundle.manifest.files.values())
        + (work / "bundle/manifest.json").stat().st_size
    )
    statistics = bundle.manifest.files[STATISTICS].bytes
    single = plain_export(model, configurations[0], work)
    worst = max(entry.parity.relative_error for entry in bundle.manifest.configurations.values())
    widths = len(bundle.manifest.widths)
    print(f"{arch}: bundle of {len(configurations)} configurations, {widths} widths: {ours:,} bytes")
    print(f"  of which batch-norm vectors {statistics:,}; one full-width ONNX file: {single:,} bytes")
    print(f"  bundle / (single + batch-norm vectors) = {ours / (single + statistics):.4f}")
    print(f"  parity of all configurations within {worst:.1e}")


def plain_export(model: torch.nn.Module, configuration: Configuration, work: Path) -> int:
    """Bytes of PyTorch's own export of the full-width network, weights included."""
    clip = torch.randn(1, 3, configuration.frames, configuration.size, configuration.size)
    folder = work / "plain"
    folder.mkdir()
    torch.onnx.export(model, (clip,), str(folder / "model.onnx"), dynamo=True, optimize=True, verbose=False)
    return sum(file.stat().st_size for file in folder.iterdir())


if __name__ == "__main__":
    main()
