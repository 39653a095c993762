"""danlu: the craft of training PyTorch networks."""
