"""What a CUDA graph does, played on a CPU: operations are noted without any effect, and repeated on the same memory."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Recorder", "Tape"]


class Tape(TorchDispatchMode):
    """Notes every operation; a value that is read on the host is an error, as it is while a GPU records."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.before = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, x in zip(func._schema.arguments, args, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written or (argument.name in {"running_mean", "running_var"} and x is not None):  # batch norm does not say so
                for t in tree_leaves(x):
                    memory = t.untyped_storage()
                    self.before.setdefault(memory.data_ptr(), (memory, memory.clone()))
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    def undo(self):
        """Put back what was written."""
        for memory, old in self.before.values():
            memory.copy_(old)

    @torch.no_grad()
    def replay(self):
        """Repeat every operation, with results in the memory that they had."""
        for func, args, kwargs, out in self.calls:
            for new, kept in zip(tree_leaves(func(*args, **kwargs)), tree_leaves(out), strict=True):
                if isinstance(new, torch.Tensor) and new.data_ptr() != kept.data_ptr():
                    kept.copy_(new)


class Recorder:
    """What `graphed` records with; counts how often."""

    made = 0
    aside_calls = 0

    def aside(self, call):
        type(self).aside_calls += 1
        return call()

    def record(self, call):
        type(self).made += 1
        tape = Tape()
        with tape:
            out = call()
        tape.undo()
        return tape.replay, out
