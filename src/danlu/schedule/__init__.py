"""Schedules of the learning rate, or of any hyper-parameter, as pure functions of the update's number."""

from danlu.schedule.cyclic import Cyclic, Restarts
from danlu.schedule.duration import Duration, Unit
from danlu.schedule.plot import png, text
from danlu.schedule.registry import SCHEDULES, create, schedules
from danlu.schedule.schedule import Per, Schedule, WarmupFrom
from danlu.schedule.scheduled import Scheduled
from danlu.schedule.shape import (
    Constant,
    Cosine,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Rex,
    Shape,
    StableCosine,
    Steps,
    Wsd,
)
from danlu.schedule.torch_scheduler import torch_scheduler

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Cyclic",
    "Duration",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "OneCycle",
    "Per",
    "Polynomial",
    "Restarts",
    "Rex",
    "Schedule",
    "Scheduled",
    "Shape",
    "StableCosine",
    "Steps",
    "Unit",
    "WarmupFrom",
    "Wsd",
    "create",
    "png",
    "schedules",
    "text",
    "torch_scheduler",
]
