"""The golden trajectories of the acceleration family, in the form of `tests.golden.cases`."""

from tests.golden.cases import Case

__all__ = ["CASES"]


def _case(file, preset, *, lr=1e-2, tolerance=1e-12, tracks=("plain", "hard"), decay=None, **options):
    return Case(f"B_{file}.npz", preset, options, lr, tolerance, tracks, decay=decay)


_BETAS = {"betas": (0.9, 0.99)}
_PLAIN = {"tracks": ("plain",)}
_PNM = {"betas": (0.9, 1.0), "weight_decay": 0.1}
_ADAPNM = {"betas": (0.9, 0.99, 1.0), "weight_decay": 0.1, **_PLAIN}
_ADAN = {"betas": (0.98, 0.92, 0.99), "weight_decay": 0.1}

CASES = [
    _case("diffgrad__official_v2", "diffgrad", **_BETAS),
    # 1e-15 under the root and a float32 bias correction: 6e-12 away where gradients are ordinary, 5e-6 where they are tiny.
    _case("diffgrad__pytorch_optimizer", "diffgrad", **_BETAS, **_PLAIN, tolerance=1e-10),
    _case("adamomentum__third_party_repo", "adamomentum", **_BETAS),
    _case("pnm__official", "pnm", **_PNM),
    _case("pnm__pytorch_optimizer", "pnm", **_PNM),
    _case("adapnm__official", "adapnm", **_ADAPNM, amsgrad=False),
    _case("adapnm_amsgrad__official", "adapnm", **_ADAPNM),
    _case("adan__official", "adan", **_ADAN),
    _case("adan__optimi", "adan", **_ADAN),
    _case("adan__pytorch_optimizer", "adan", **_ADAN),
    _case("adan__timm", "adan", **_ADAN),
    _case("adan_noprox__official", "adan", **_ADAN, no_prox=True),
    _case("adagl_alpha0.5__secondary_equations", "adagl", **_BETAS, **_PLAIN, alpha=0.5),
    _case("adagl_alpha0.9__secondary_equations", "adagl", **_BETAS, **_PLAIN, alpha=0.9),
]
