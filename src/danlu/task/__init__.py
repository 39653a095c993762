"""Real tasks that need no network: data, models and the training that suits them."""

from danlu.task.chars import chars
from danlu.task.digits import digits
from danlu.task.task import TASKS, Choice, Data, Defaults, Loader, Parts, Task, predict, tasks

__all__ = ["TASKS", "Choice", "Data", "Defaults", "Loader", "Parts", "Task", "chars", "digits", "predict", "tasks"]

for _task in (digits, chars):
    TASKS.add(_task.name, _task)
