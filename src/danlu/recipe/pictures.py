"""The pictures of a task's trained model, written into the run's folder when the run ends."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from danlu.task import Draw
from danlu.train import Callback, Clock, Result
from danlu.train.durable import replaced

if TYPE_CHECKING:
    from danlu.train import Trainer

__all__ = ["Pictures"]


@final
class Pictures(Callback):
    """Draws at the end of a run that did not fail, with the weights that are judged; ``danlu report`` shows the files.

    Args:
        draw: ``draw(model)`` returns figures by name; nothing may depend on random numbers of torch's own generator.
        folder: gets NAME.png for each.

    Raises:
        ImportError: without matplotlib, before the run rather than at its end.
    """

    phase: ClassVar[int] = 200  # after whoever puts other weights in when the run ends

    def __init__(self, draw: Draw, folder: Path) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            raise ImportError("this task draws pictures, which needs matplotlib; pip install 'danlu[plot]'")
        self.draw, self.folder = draw, folder

    def attach(self, trainer: Trainer) -> None:
        """Keep the model, and where it is judged."""
        self._trainer = trainer

    def end(self, clock: Clock, result: Result) -> None:
        """Write the pictures, each whole or not at all."""
        if result.error:
            return
        model = self._trainer.model
        modes = [(module, module.training) for module in model.modules()]
        with self._trainer.eval_weights():
            figures = self.draw(model.eval())
        for module, training in modes:
            module.training = training
        for name, figure in figures.items():
            replaced(self.folder / f"{name}.png", lambda path, figure=figure: figure.savefig(path, dpi=130, format="png"))
