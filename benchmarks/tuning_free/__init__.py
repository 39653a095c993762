"""A workload suite for optimizers that need no tuning: ``python -m benchmarks.tuning_free``, or ``make tuning-free``."""
