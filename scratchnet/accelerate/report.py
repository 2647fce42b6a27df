"""What `accelerate` did: a table of every layer, what is left to do, and the way back."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Callable

from typing_extensions import Self

WIDTH = 128  # of the table


@dataclass
class Report:
    """What `accelerate` did: print it, or reverse it with `undo()` or at the end of a `with` block.

    swapped: the name and class of every layer that is ours now. left: name, class and reason for every layer that is not.
    computes: name -> what a layer of another library was shown to compute. attention, loss, optimizer: what became of them.
    parameters: how many numbers the parameters of layers that are ours have, and those of the whole model.
    """

    swapped: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    computes: dict[str, str] = field(default_factory=dict)
    parameters: tuple[int, int] = (0, 0)
    attention: str = ""
    loss: str = ""
    optimizer: str = ""
    _back: list[Callable[[], None]] = field(default_factory=list, repr=False)

    def undo(self) -> None:
        """Give every swapped layer its class back; one that has been parametrized since is left as it is.

        The layers of this model: for a deepcopy of it, or one loaded by torch.load, there is `scratchnet.decelerate`.
        """
        for step in reversed(self._back):
            step()
        self._back.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()

    def __str__(self) -> str:
        from rich.console import Console  # only to print: importing it takes as long as all of scratchnet
        from rich.table import Table

        table = Table("layer", "class", "now", box=None, pad_edge=False)
        for name, kind in self.swapped:
            shown = self.computes.get(name)
            table.add_row(name, kind, f"scratchnet's: {shown}" if shown else "scratchnet's")
        for name, kind, reason in self.left:
            table.add_row(name, kind, f"left: {reason}")
        text = io.StringIO()
        if table.row_count:
            Console(file=text, width=WIDTH, highlight=False, markup=False, no_color=True).print(table)
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        return "\n".join([*lines, *self._summary()])

    def _summary(self) -> list[str]:
        ours, all_of_them = self.parameters
        share = f", with {ours / all_of_them:.0%} of the parameters" if all_of_them else ""
        lines = [f"{len(self.swapped)} layers swapped{share}, {len(self.left)} left"]
        facts = {"attention": self.attention, "loss": self.loss, "optimizer": self.optimizer}
        lines += [f"{name}: {what}" for name, what in facts.items() if what]
        if self.swapped:
            lines.append("torch.ao.quantization looks layers up by their exact class and skips swapped ones: undo() first")
            lines.append("a file of torch.save(model) needs scratchnet to be read: undo() first, or save state_dict()")
        return lines
