"""Checkpoints: folders of safetensors and JSON with hashes, written so that no crash leaves half of one."""
