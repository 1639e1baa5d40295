"""Run every held-out clip of an action through `a3d-edge run`, at each form of budget.

    python benchmarks/held_out_runs.py --data ../shared/data/ut_interaction --work runs [--cache DIR]

Needs the checkpoints of benchmarks/built_in_bundles.py interactions in --work. Exports each fold's network
as a bundle of the default table's configurations, then runs the command itself (in this process: same code,
no start-up) on the clips that the fold's network never saw. The label of a clip is the highest summed score
over its predictions. Writes docs/results/held_out_runs.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections import Counter
from pathlib import Path

from _options import parser_of

from a3d_edge.cli import app
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.training.clips import list_clips, split_fold

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
TABLE = RESULTS / "interactions_bundle_table.json"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "runs")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    table = ConfigurationBudgetTable.load(TABLE)
    middle = table.rows[len(table.rows) // 2]
    budgets = [
        *(str(row.configuration) for row in (table.rows[-1], middle, table.rows[0])),
        "auto", "0.25", f"{middle.gflops:.3f}GFLOPs", "80ms",
    ]  # fmt: skip
    clips = list_clips([arguments.data / "labels.csv"])
    right: dict[str, Counter[str]] = {budget: Counter() for budget in budgets}
    used: dict[str, Counter[str]] = {budget: Counter() for budget in budgets}
    unaccounted, hop_difference, compared = 0, 0.0, 0
    for fold in range(4):
        bundle = export(arguments, fold)
        held_out = split_fold(clips, fold)[1]
        for number, clip in enumerate(held_out):
            for budget in budgets:
                predictions, summary = run(bundle, str(clip.path), budget)
                unaccounted += (
                    summary["frames_captured"] - summary["frames_used"] - sum(summary["dropped"].values())
                )
                used[budget].update(summary["configurations"])
                right[budget][clip.label + " of"] += 1
                right[budget][clip.label] += label_of(predictions) == clip.label
            if number % 5 == 0:
                difference, windows = hop_invariance(bundle, str(clip.path), budgets[0])
                hop_difference, compared = max(hop_difference, difference), compared + windows
    lines = write(budgets, right, used, unaccounted, hop_difference, compared)
    print("\n".join(lines))


def export(arguments: argparse.Namespace, fold: int) -> Path:
    out = arguments.work / f"bundle{fold}"
    if not out.exists():
        words = ["export", str(arguments.work / f"fold{fold}.pth"), "--table", str(TABLE), "--out", str(out)]
        for name in ("labels.csv", "none.csv"):
            words += ["--calibration", str(arguments.data / name)]
        words += ["--fold", str(fold), "--calibration-clips", "80"] + (
            ["--cache", str(arguments.cache)] if arguments.cache else []
        )
        print(invoke(words), end="")
    return out


def invoke(words: list[str]) -> str:
    """What `a3d-edge WORDS` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        app(words, standalone_mode=False)
    return out.getvalue()


def run(bundle: Path, source: str, budget: str, hop: int | None = None) -> tuple[list[dict], dict]:
    words = ["run", "--bundle", str(bundle), "--source", source, "--budget", budget, "--json"]
    events = [json.loads(line) for line in invoke(words + (["--hop", str(hop)] if hop else [])).splitlines()]
    return [e for e in events if e["event"] == "prediction"], events[-1]


def label_of(predictions: list[dict]) -> str:
    scores: Counter[str] = Counter()
    for prediction in predictions:
        for entry in prediction["top"]:
            scores[entry["label"]] += entry["score"]
    return scores.most_common(1)[0][0]


def hop_invariance(bundle: Path, source: str, budget: str) -> tuple[float, int]:
    """The largest difference between scores of one window at hops of 8, 4 and 24; the windows compared."""
    by_hop = [
        {
            p["window_start_s"]: {e["label"]: e["score"] for e in p["top"]}
            for p in run(bundle, source, budget, hop)[0]
        }
        for hop in (8, 4, 24)
    ]
    worst, windows = 0.0, 0
    for other in by_hop[1:]:
        for start in set(by_hop[0]) & set(other):
            windows += 1
            worst = max(worst, *(abs(by_hop[0][start][n] - other[start][n]) for n in other[start]))
    return worst, windows


def write(budgets, right, used, unaccounted, hop_difference, compared) -> list[str]:
    actions = [name for name in right[budgets[0]] if not name.endswith(" of") and name != "none"]
    lines = [
        "# Held-out clips through `a3d-edge run`",
        "",
        "Command: `python benchmarks/held_out_runs.py --data ../shared/data/ut_interaction --work runs`",
        "",
        "Every clip is run by the network of the fold that holds its group out. Its label is the highest",
        "summed score over its predictions; seven classes, so chance on the six actions is 1 in 7.",
        "",
        "| `--budget` | named correctly | configurations that ran most |",
        "|---|---|---|",
    ]
    for budget in budgets:
        count = right[budget]
        hits, total = sum(count[n] for n in actions), sum(count[f"{n} of"] for n in actions)
        ran = ", ".join(name for name, _ in used[budget].most_common(3))
        lines.append(f"| `{budget}` | {hits}/{total} ({hits / total:.1%}) | {ran} |")
    lines += [
        "",
        f"Frames neither used nor counted as dropped, over all runs: {unaccounted}.",
        f"Largest difference between the scores of one window at hops 8, 4 and 24: {hop_difference:.1e} "
        f"({compared} windows).",
    ]
    (RESULTS / "held_out_runs.md").write_text("\n".join(lines) + "\n")
    return lines


if __name__ == "__main__":
    main()
