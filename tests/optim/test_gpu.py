"""The same rules on a GPU: eager and compiled agree with the CPU. Skipped where there is no device."""

import pytest
import torch

from danlu import optim
from danlu.optim.run import batch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def walked(name, device, compile, **options):
    source = torch.Generator().manual_seed(0)
    shapes = (300, 300), (64, 32), (7,), ()  # the first one alone, the others in a line
    params = [torch.nn.Parameter(torch.randn(shape, generator=source).to(device)) for shape in shapes]
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


@pytest.mark.parametrize("way", ["fused"], indirect=True)
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_torchs_kernels_on_a_gpu_agree_with_the_cpu(way, name):
    for ours, theirs in zip(walked(name, "cuda", "auto"), walked(name, "cpu", False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adafactor", "lamb", "came", "adamw_8bit"])
def test_wider_rules_on_a_gpu_agree_with_the_cpu(name):
    for ours, theirs in zip(walked(name, "cuda", False), walked(name, "cpu", False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_global_norm_on_a_gpu():
    clip = optim.grad.ClipNorm(0.5)
    for ours, theirs in zip(walked("sgd", "cuda", True, grad=clip), walked("sgd", "cpu", False, grad=clip), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "shampoo", "smmf"])
def test_stacks_on_a_gpu_agree_with_single_tensors(name, monkeypatch):
    def moved():
        source = torch.Generator().manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(16, 8, generator=source).cuda()) for _ in range(6)]
        optimizer = optim.create(name, params, lr=0.01, compile=False)
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape, generator=source).cuda()
            optimizer.step()
        return torch.stack(params).detach()

    stacked = moved()
    monkeypatch.setattr(batch, "_ACCELERATOR", batch.Limits(0, 1))
    assert torch.allclose(stacked, moved(), rtol=0, atol=1e-3)  # of 0.03 that they move; products are in bfloat16


def test_release_on_a_gpu_walks_as_the_usual_loop():
    """Hooks run in a thread of autograd's there."""

    def moved(release):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).cuda()
        optimizer = optim.create("adamw", net, lr=0.01, compile=False)
        with optimizer.released() if release else torch.enable_grad():
            for _ in range(3):
                optimizer.zero_grad()
                net(torch.ones(4, 8, device="cuda")).square().mean().backward()
                optimizer.step()
        return [p.detach().cpu() for p in net.parameters()]

    assert all(map(torch.equal, moved(True), moved(False)))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", ["adamw", "muon", "furnace", "lamb"])
def test_replays_on_a_gpu_walk_as_the_usual_loop(name, compile):
    """A clip, a schedule and a rule that decomposes matrices in some steps."""

    def moved(graph):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).cuda()
        clip = optim.grad.ClipNorm(0.5)
        optimizer = optim.create(name, net, lr=0.01, compile=compile, grad=clip)
        x = torch.empty(4, 8, device="cuda")

        def iteration():
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()

        call = optim.graphed(iteration, optimizer) if graph else iteration
        for k in range(14):
            x.copy_(torch.randn(4, 8, generator=torch.Generator().manual_seed(k)))
            optimizer.param_groups[0]["lr"] = 0.01 / (k + 1)
            call()
        return [p.detach().cpu() for p in net.parameters()]

    for ours, theirs in zip(moved(True), moved(False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
