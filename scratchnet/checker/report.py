"""All that the checker says about a file: on the screen, as JSON, as a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scratchnet.checker.contract import Contract, KernelError
from scratchnet.checker.diagnosis import explain
from scratchnet.checker.exam import Verdict, check
from scratchnet.checker.load import load
from scratchnet.checker.speed import Speed, measure
from scratchnet.ops import Op


@dataclass(frozen=True)
class Direction:
    """What was found out about forward or backward."""

    verdict: Verdict
    problem: tuple[str, ...]  # what is wrong and what it probably means; empty if all is right
    speed: Speed | None

    @property
    def notes(self) -> list[str]:
        """What was asked, what was not, how fast it is."""
        asked = "; ".join(f"{part}: {what}" for part, what in self.verdict.passed.items())
        lines = [f"passed {asked}"] if asked else []
        if not self.problem and self.verdict.left_out:
            lines.append(f"not judged: {', '.join(self.verdict.left_out)}")
        if self.verdict.borrowed:
            lines.append(f"right, but it {self.verdict.borrowed}")
        return [*lines, f"speed {self.speed}"] if self.speed else lines


@dataclass(frozen=True)
class Report:
    """The outcome for a file. `ok`: everything that was asked is right; what was not asked is in the notes."""

    file: str
    operator: str
    kind: str  # "NumPy", "torch", "Triton" or "C++"
    seed: int  # of the sizes that are drawn
    directions: dict[str, Direction]
    timed: bool
    printed: str  # what the kernel itself wrote to the screen

    @property
    def ok(self) -> bool:
        return not any(direction.problem for direction in self.directions.values())

    def json(self) -> dict:
        """The report in plain values; seconds, and ratios above 1 where the kernel is faster."""
        head = {"file": self.file, "operator": self.operator, "kind": self.kind, "seed": self.seed, "ok": self.ok}
        return head | {"directions": {name: _plain(direction) for name, direction in self.directions.items()}}

    def page(self) -> str:
        """The report in Markdown."""
        verdict = "right" if self.ok else "**wrong**"
        lines = [
            f"# {self.file}",
            "",
            f"`{self.operator}` in {self.kind}: {verdict}. Sizes were drawn with `--seed {self.seed}`.",
        ]
        for name, direction in self.directions.items():
            verdict = direction.verdict
            lines += ["", f"## {name}: {'wrong' if direction.problem else 'right'}", ""]
            if direction.problem:
                lines += [f"> {line}" for line in "\n>\n".join(direction.problem).replace("\n>\n", "\n\n").splitlines()] + [""]
            lines += ["| part | asked | verdict |", "|---|---|---|"]
            lines += [f"| {part} | {what} | ✓ |" for part, what in verdict.passed.items()]
            if verdict.trials:
                wrong = sum(not trial.ok for trial in verdict.trials)
                lines.append(f"| {verdict.trials[0].part} | {len(verdict.trials)} calls | ✗ in {wrong} |")
            if verdict.left_out and not direction.problem:
                lines += ["", f"Not judged: {', '.join(verdict.left_out)}."]
            if verdict.borrowed:
                lines += ["", f"It {verdict.borrowed}."]
            if speed := direction.speed:
                rows = [("this kernel", speed.timing.seconds.median, 1.0)]
                rows += [(name, r.median * speed.timing.seconds.median, r.median) for name, r in speed.ratios.items()]
                lines += ["", f"{speed.rows} rows, {speed.columns} columns: {speed.timing.rate}, "]
                lines[-1] += f"{speed.timing.share:.0%} of this machine's roof."
                lines += ["", "| | ms | its time / this kernel's |", "|---|---:|---:|"]
                lines += [f"| {name} | {seconds * 1e3:.3g} | {ratio:.3g} |" for name, seconds, ratio in rows]
        return "\n".join(lines) + "\n"


def _plain(direction: Direction) -> dict:
    verdict, speed = direction.verdict, direction.speed
    failed = [{"where": t.where, "problem": t.problem} for t in verdict.trials if not t.ok]
    told = {"ok": not direction.problem, "passed": verdict.passed, "not_judged": list(verdict.left_out)}
    told |= {"borrowed": verdict.borrowed, "problem": list(direction.problem), "failed": failed, "speed": None}
    if speed:
        ratios = {name: ratio.median for name, ratio in speed.ratios.items()}
        told["speed"] = {"rows": speed.rows, "columns": speed.columns, "seconds": speed.timing.seconds.median}
        told["speed"] |= {"roof_share": speed.timing.share, "ratios": ratios}
    return told


def judge(path: Path, op: Op, direction: str = "both", seed: int = 0, timed: bool = True) -> Report:
    """Check a file, and time what is right. KernelError: why nothing of it can be called."""
    kernel = load(path, Contract(op))
    found = {}
    for verdict in check(kernel, direction, seed):
        problem, speed = ([], None) if verdict.ok else (explain(verdict), None)
        if verdict.ok and timed and kernel.timed:
            try:
                speed = measure(kernel, verdict.direction)
            except KernelError as error:
                problem = [str(error)]
        found[verdict.direction] = Direction(verdict, tuple(problem), speed)
    return Report(path.name, op.name, kernel.kind, seed, found, kernel.timed, kernel.printed())
