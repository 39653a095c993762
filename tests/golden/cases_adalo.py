"""The trajectories of AdaLo."""

from tests.golden.cases import Case

__all__ = ["CASES"]


def _a(file, tracks=("plain", "edge"), **options):
    return Case(f"A_{file}.npz", "adalo", options, 1.0, 1e-12, tracks)


CASES = [
    _a("adalo_adversarial__official_cpuimage", betas=(0.9, 0.9)),
    _a("adalo_adversarial_default_betas__official_cpuimage", tracks=("plain",)),
    _a("adalo_compliant__official_cpuimage", betas=(0.9, 0.9), mode="compliant"),
    _a("adalo_linear__specref", kappa=10.0, mode="linear"),
]
