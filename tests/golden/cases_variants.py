"""Golden trajectories of rules with one thing changed: mask, decay, trust ratio, length or mean of the gradient."""

from tests.golden.cases import Case

__all__ = ["CASES", "TRANSFORMS"]


def _case(file: str, preset: str, *, lr=1e-2, tolerance=1e-12, tracks=("plain", "hard"), without_decay=(), **options) -> Case:
    return Case(f"B_{file}.npz", preset, options, lr, tolerance, tracks, without_decay=without_decay)


_ADAM = {"betas": (0.9, 0.99)}
_ADAMW = {**_ADAM, "weight_decay": 0.1}
_SMALL = {"lr": 1e-3, **_ADAMW}
_MOMENTUM = {"momentum": 0.9, "weight_decay": 0.1}
_LARS = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "tracks": ("plain",)}
_LAMB = {**_ADAMW, "adapt_vectors": True, "tracks": ("plain",)}
_SHRINK = {**_ADAM, "tracks": ("plain", "shrink")}

CASES = [
    _case("cautious_adamw__timm", "cautious_adamw", **_ADAMW),
    _case("cautious_adamw__official_c_optim", "cautious_adamw", **_ADAMW, eps_hat=True),
    # HeavyBall computes in float32, and another rule where gradients are zero (the hard track): its mask looks at sign bits.
    _case("cautious_adamw__heavyball", "cautious_adamw", **_ADAMW, tracks=("plain",), tolerance=1e-6),
    _case("cautious_lion__timm", "cautious_lion", **_SMALL),
    _case("cautious_lion__official_c_optim", "cautious_lion", **_SMALL, scale="paper"),
    _case("cautious_lion__pytorch_optimizer", "cautious_lion", **_SMALL, scale="paper"),
    _case("cautious_weight_decay_adamw__torch_update_plus_paper_rule", "adamw_cwd", **_ADAMW),
    _case("cautious_weight_decay_adamw__heavyball", "adamw_cwd", **_ADAMW, tracks=("plain",), tolerance=1e-6),
    _case("adanorm_adam__official", "adanorm", **_SHRINK, eps_in_state=True),
    # pytorch_optimizer takes the root of v + 1e-15.
    _case("adanorm_adam__pytorch_optimizer", "adanorm", **_SHRINK, eps_hat=True, tolerance=2e-11),
    _case("lars__timm", "lars", **_LARS, adapt_vectors=True),
    _case("lars__pytorch_optimizer", "lars", **_LARS, eps=0.0, without_decay=("v", "s")),
    _case("lamb__timm", "lamb", **_LAMB),
    _case("lamb__optax", "lamb", **_LAMB),
    _case("sgd_gc__official", "sgd_gc", **_MOMENTUM),
    _case("sgd_gcc__official", "sgd_gc", **_MOMENTUM, conv_only=True),
    _case("norm_loss_sgd__torch_autograd", "norm_loss_sgd", momentum=0.0, weight_decay=0.05, vectors=True),
    _case("swd_sgds__official", "sgds", momentum=0.9, weight_decay=0.005),
    _case("swd_adams__official", "adams", **_ADAM, weight_decay=0.005, decay_eps=0.0),
    _case("swd_adams__pytorch_optimizer", "adams", **_ADAM, weight_decay=0.005),
]

# File -> the oracle's name (and the piece's), and its options.
TRANSFORMS = {
    "B_agc__timm.npz": ("agc", {"ratio": 0.1}),
    "B_agc__pytorch_optimizer.npz": ("agc", {"ratio": 0.1}),
    "B_clip_per_param_norm__torch.npz": ("tensor_norm", {"bound": 0.5, "eps": 1e-6}),
    "B_clip_block_rms__optax.npz": ("block_rms", {"bound": 0.3}),
    "B_soft_clip_rms__seed003.npz": ("soft_clip", {"floor": 1e-12, "vectors": True}),
    "B_gradient_centralization__optax.npz": ("centralize", {}),
    "B_gradient_centralization__pytorch_optimizer.npz": ("centralize", {}),
    "B_gradient_centralization_conv__pytorch_optimizer.npz": ("centralize", {"conv_only": True}),
    "B_gradient_normalization_std__pytorch_optimizer.npz": ("normalize", {"by": "std"}),
    "B_trust_ratio__optax.npz": ("trust_ratio", {"adapt_vectors": True}),
}
