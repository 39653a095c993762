"""Real tasks that need no network: data, models and the training that suits them."""

from danlu.task.chars import chars
from danlu.task.digits import digits
from danlu.task.digits_variants import digits_few, digits_low, digits_noisy, digits_tail
from danlu.task.start import STARTS, start
from danlu.task.task import TASKS, Choice, Data, Defaults, Draw, Loader, Parts, Task, predict, tasks
from danlu.task.vae import vae

__all__ = [
    "STARTS",
    "TASKS",
    "Choice",
    "Data",
    "Defaults",
    "Draw",
    "Loader",
    "Parts",
    "Task",
    "chars",
    "digits",
    "digits_few",
    "digits_low",
    "digits_noisy",
    "digits_tail",
    "predict",
    "start",
    "tasks",
    "vae",
]

for _task in (digits, digits_low, digits_few, digits_noisy, digits_tail, chars, vae):
    TASKS.add(_task.name, _task)
