"""Tables in Markdown and a picture from the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tuning_free.methods import METHODS, REFERENCE, Method
from benchmarks.tuning_free.plan import FEWER, JUDGED, TUNED, TUNED_OTHERS, judged, rate_for_all, tuned_rate
from benchmarks.tuning_free.rows import Rows
from benchmarks.tuning_free.run import Result, Task
from benchmarks.tuning_free.scores import Ratio, Summary, compare, summarise
from benchmarks.tuning_free.suite import CHOICE, HELD_OUT, OTHER_KINDS, WORKLOADS

__all__ = ["Entry", "entries", "report"]

NORM_FREE = {name for name, workload in WORKLOADS.items() if not workload.normed}
COLUMNS = ("ratio", "norm-free", "as good", "worst", "diverged", "reached", "steps", "step/model")
PRESETS = [method for method in METHODS if method.kind == "preset"]


@dataclass(frozen=True)
class Entry:
    """A line of the tables: a method with its way to a learning rate, and its ratios by workload."""

    name: str
    kind: str
    ratios: Mapping[str, Ratio]

    def over(self, names: Collection[str]) -> Summary | None:
        """Its summary over some workloads, or None unless all of them were run."""
        return summarise({name: self.ratios[name] for name in names}) if set(names) <= set(self.ratios) else None


def entries(rows: Rows) -> Iterator[Entry]:
    """Every method that was run somewhere, the tuned reference first."""
    for method in METHODS:
        rates: list[tuple[str, Callable[[str], float | None]]] = [(method.name, lambda _: None)]
        if method.rates:
            rates = [(f"{method.name}, tuned", lambda workload, name=method.name: tuned_rate(rows, workload, name))]
        if method.name == REFERENCE and (rate := rate_for_all(rows)) is not None:
            rates.append((f"{method.name} at {rate:g}", lambda _, rate=rate: rate))
        for label, rate_on in rates:
            ratios = {name: ratio for name in WORKLOADS if (ratio := _ratio(rows, name, method, rate_on(name)))}
            if ratios:
                yield Entry(label, method.kind, ratios)


def _ratio(rows: Rows, workload: str, method: Method, lr: float | None) -> Ratio | None:
    """The ratio to the tuned reference, seed by seed."""
    ours = _runs(rows, workload, method.name, lr, judged(method))
    reference = _runs(rows, workload, REFERENCE, tuned_rate(rows, workload, REFERENCE), judged(method))
    return compare(ours, reference, WORKLOADS[workload].data().trivial) if ours and reference else None


def _runs(rows: Rows, workload: str, method: str, lr: float | None, seeds: Sequence[int]) -> list[Result]:
    """The runs by seed; none if one is missing."""
    found = [rows.results.get(Task(workload, seed, method, lr)) for seed in seeds]
    return [result for result in found if result is not None] if None not in found else []


def summary_table(found: Sequence[Entry], names: Collection[str], *, of: str) -> Iterator[str]:
    """One line per method that was run on all of some workloads, the best first; nothing for no workloads."""
    if not names:
        return
    yield f"| {of} ({len(names)} workloads) | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}"
    lines = [(summary, entry) for entry in found if (summary := entry.over(names)) is not None]
    for whole, entry in sorted(lines, key=lambda line: line[0].value):
        cells = [
            _mean(whole),
            _mean(entry.over(NORM_FREE & {*names})),
            f"{whole.close:.0%}",
            f"{whole.worst[0]:.2f} {whole.worst[1]}",
            f"{whole.diverged}",
            f"{whole.reached:.0%}",
            f"{whole.steps:.2f}" if math.isfinite(whole.steps) else "—",
            f"{whole.step_to_model:.2f}",
        ]
        yield f"| {entry.name} | {' | '.join(cells)} |"


def _mean(summary: Summary | None) -> str:
    return "" if summary is None else f"{summary.value:.3f} ± {summary.value * summary.error:.3f}"


def workload_table(found: Sequence[Entry], rows: Rows) -> Iterator[str]:
    """One line per workload: the reference's metric, and the ratios."""
    shown = [entry for entry in found if entry.kind != "ablation" and entry.name != f"{REFERENCE}, tuned"]
    names = " | ".join(entry.name for entry in shown)
    yield f"| workload | trivial | tuned AdamW | lr | {names} |\n|---|{'--:|' * (len(shown) + 3)}"
    for name, workload in WORKLOADS.items():
        rate = tuned_rate(rows, name, REFERENCE)
        runs = _runs(rows, name, REFERENCE, rate, JUDGED)
        if runs:
            mark = " (held out)" if workload in HELD_OUT else " (other kinds)" if workload in OTHER_KINDS else ""
            level = sum(r.metric for r in runs) / len(runs)
            cells = [_cell(entry.ratios.get(name)) for entry in shown]
            yield f"| {name}{mark} | {workload.data().trivial:.4g} | {level:.4g} | {rate:g} | {' | '.join(cells)} |"


def _cell(ratio: Ratio | None) -> str:
    """The ratio, bold where it is not as good as the reference."""
    return "" if ratio is None else f"{ratio.value:.2f}" if ratio.close else f"**{ratio.value:.2f}**"


def report(rows: Rows, folder: Path) -> None:
    """Write table.md and ratios.png, and print the tables of methods."""
    found = list(entries(rows))
    if not found:
        print("nothing to compare yet: run the reference first")
        return
    there = {name for entry in found for name in entry.ratios}  # all of them, unless only some were asked for
    choice, held_out, other = ({workload.name for workload in split} & there for split in (CHOICE, HELD_OUT, OTHER_KINDS))
    whole = [entry for entry in found if entry.kind != "ablation"]
    varied = [entry for entry in found if entry.kind in {"preset", "ablation"}]
    sets = {"held out": held_out, "other kinds": other, "choice": choice}
    tables = [summary_table(whole, names, of=of) for of, names in sets.items()]
    if len(varied) > len(PRESETS):
        tables.append(summary_table(varied, choice, of="variants on choice"))
    first = "\n\n".join(filter(None, ("\n".join(table) for table in tables)))
    tuned, others, judges, fewer = (f"{seeds[0]} to {seeds[-1]}" for seeds in (TUNED, TUNED_OTHERS, JUDGED, FEWER))
    chosen = f"Seeds {tuned} chose AdamW's learning rates, {others} SGD's."
    seeds = f"{chosen} Seeds {judges} judge AdamW and what is under test, {fewer} the others."
    (folder / "table.md").write_text(
        f"{seeds}\n\n{first}\n\n" + "\n".join(workload_table(found, rows)) + "\n", encoding="utf-8"
    )
    print(first)
    picture(whole, folder / "ratios.png")


def picture(found: Sequence[Entry], path: Path) -> None:
    """A dot per method and workload, a bar at the geometric mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ordered = sorted(found, key=lambda entry: -summarise(entry.ratios).value)
    figure, axes = plt.subplots(figsize=(8, 1 + 0.32 * len(ordered)), layout="constrained")
    sets = ((CHOICE, "tab:blue", "choice"), (HELD_OUT, "tab:orange", "held out"), (OTHER_KINDS, "tab:green", "other kinds"))
    for y, entry in enumerate(ordered):
        for split, colour, label in sets:
            values = [ratio.value for name, ratio in entry.ratios.items() if WORKLOADS[name] in split]
            axes.plot(values, [y] * len(values), "o", color=colour, alpha=0.6, markersize=4, label=label if y == 0 else None)
        axes.plot(
            summarise(entry.ratios).value, y, "|", color="black", markersize=14, label="geometric mean" if y == 0 else None
        )
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="held-out loss / that of AdamW with its learning rate tuned for the workload")
    axes.set_yticks(range(len(ordered)), [entry.name for entry in ordered])
    axes.set_xticks([0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0], ["0.5", "0.7", "1", "1.5", "2", "3", "5", "10", "20"])
    axes.minorticks_off()
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
