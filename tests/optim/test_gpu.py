"""The same rules on a GPU: eager and compiled agree with the CPU. Skipped where there is no device."""

import pytest
import torch

from danlu import optim

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def walked(name, device, compile, **options):
    source = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, generator=source).to(device)) for shape in [(64, 32), (7,), ()]]
    optimizer = optim.create(name, params, lr=0.01, compile=compile, **options)
    for _ in range(5):
        for p in params:
            p.grad = torch.randn(p.shape, generator=source).to(device)
        optimizer.step()
    return [p.detach().cpu() for p in params]


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", ["adamw", "lion", "sgd_velocity", "radam", "schedule_free_adamw"])
def test_kernels_on_a_gpu_agree_with_the_cpu(name, compile):
    for ours, theirs in zip(walked(name, "cuda", compile), walked(name, "cpu", False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adafactor", "lamb", "came", "adamw_8bit"])
def test_wider_rules_on_a_gpu_agree_with_the_cpu(name):
    for ours, theirs in zip(walked(name, "cuda", False), walked(name, "cpu", False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_global_norm_on_a_gpu():
    clip = optim.grad.ClipNorm(0.5)
    for ours, theirs in zip(walked("sgd", "cuda", True, grad=clip), walked("sgd", "cpu", False, grad=clip), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
