"""Named optimizers: compositions only, and their torch-like classes."""

from danlu.optim.rules.ada_norm import AdaNorm, adanorm
from danlu.optim.rules.adabelief import AdaBelief, adabelief
from danlu.optim.rules.adafactor import Adafactor, adafactor
from danlu.optim.rules.adagl import AdaGL, adagl
from danlu.optim.rules.adagrad import Adagrad, adagrad
from danlu.optim.rules.adalo import AdaLo, adalo
from danlu.optim.rules.adam import Adam, AdamW, adam, adamw
from danlu.optim.rules.adam_atan2 import AdamAtan2, adam_atan2
from danlu.optim.rules.adam_cpr import AdamCPR, adam_cpr
from danlu.optim.rules.adam_mini import AdamMini, adam_mini
from danlu.optim.rules.adamax import Adamax, adamax
from danlu.optim.rules.adamomentum import AdaMomentum, adamomentum
from danlu.optim.rules.adamw_8bit import AdamW8bit, adamw_8bit
from danlu.optim.rules.adan import Adan, adan
from danlu.optim.rules.adaptive_memory import AMSGD, AMAdamW, am_adamw, am_sgd
from danlu.optim.rules.ademamix import AdEMAMix, ademamix
from danlu.optim.rules.amos import Amos, amos
from danlu.optim.rules.amsgrad import AMSGrad, amsgrad
from danlu.optim.rules.came import CAME, came
from danlu.optim.rules.cautious import AdamWCWD, CautiousAdamW, CautiousLion, adamw_cwd, cautious_adamw, cautious_lion
from danlu.optim.rules.centralized import SGDGC, sgd_gc
from danlu.optim.rules.d_adapt import DAdaptAdam, dadapt_adam
from danlu.optim.rules.diffgrad import DiffGrad, diffgrad
from danlu.optim.rules.dog import DoG, LDoG, dog, ldog
from danlu.optim.rules.eadam import EAdam, eadam
from danlu.optim.rules.furnace import Furnace, FurnaceLean, furnace, furnace_lean
from danlu.optim.rules.lamb import LAMB, lamb
from danlu.optim.rules.lars import LARS, lars
from danlu.optim.rules.lion import Lion, lion
from danlu.optim.rules.lookahead import Lookahead, lookahead
from danlu.optim.rules.momo import Momo, MomoAdam, momo, momo_adam
from danlu.optim.rules.muon import Muon, muon
from danlu.optim.rules.nadam import NAdam, nadam, nadam_simple
from danlu.optim.rules.norm_loss import NormLossSGD, norm_loss_sgd
from danlu.optim.rules.nsgda import NSGDA, nsgda
from danlu.optim.rules.pnm import PNM, AdaPNM, adapnm, pnm
from danlu.optim.rules.prodigy import Prodigy, prodigy
from danlu.optim.rules.radam import RAdam, radam
from danlu.optim.rules.ranger import Ranger, ranger
from danlu.optim.rules.rmsprop import RMSprop, rmsprop
from danlu.optim.rules.sadam import SAdam, sadam
from danlu.optim.rules.sam import ASAM, SAM, asam, sam
from danlu.optim.rules.schedule_free import (
    AdamWScheduleFree,
    RAdamScheduleFree,
    SGDScheduleFree,
    schedule_free_adamw,
    schedule_free_radam,
    schedule_free_sgd,
)
from danlu.optim.rules.sgd import SGD, SGDW, sgd, sgd_ema, sgd_velocity, sgdw
from danlu.optim.rules.shampoo import SOAP, Shampoo, shampoo, soap
from danlu.optim.rules.sign import SignSGD, Signum, sign_sgd, signum
from danlu.optim.rules.sm3 import SM3, sm3
from danlu.optim.rules.smmf import SMMF, smmf
from danlu.optim.rules.stable import SGDS, AdamS, adams, sgds
from danlu.optim.rules.stable_adamw import StableAdamW, stable_adamw
from danlu.optim.rules.yogi import Yogi, yogi

__all__ = [
    "AMSGD",
    "ASAM",
    "CAME",
    "LAMB",
    "LARS",
    "NSGDA",
    "PNM",
    "SAM",
    "SGD",
    "SGDGC",
    "SGDS",
    "SGDW",
    "SM3",
    "SMMF",
    "SOAP",
    "AMAdamW",
    "AMSGrad",
    "AdEMAMix",
    "AdaBelief",
    "AdaGL",
    "AdaLo",
    "AdaMomentum",
    "AdaNorm",
    "AdaPNM",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamAtan2",
    "AdamCPR",
    "AdamMini",
    "AdamS",
    "AdamW",
    "AdamW8bit",
    "AdamWCWD",
    "AdamWScheduleFree",
    "Adamax",
    "Adan",
    "Amos",
    "CautiousAdamW",
    "CautiousLion",
    "DAdaptAdam",
    "DiffGrad",
    "DoG",
    "EAdam",
    "Furnace",
    "FurnaceLean",
    "LDoG",
    "Lion",
    "Lookahead",
    "Momo",
    "MomoAdam",
    "Muon",
    "NAdam",
    "NormLossSGD",
    "Prodigy",
    "RAdam",
    "RAdamScheduleFree",
    "RMSprop",
    "Ranger",
    "SAdam",
    "SGDScheduleFree",
    "Shampoo",
    "SignSGD",
    "Signum",
    "StableAdamW",
    "Yogi",
    "adabelief",
    "adafactor",
    "adagl",
    "adagrad",
    "adalo",
    "adam",
    "adam_atan2",
    "adam_cpr",
    "adam_mini",
    "adamax",
    "adamomentum",
    "adams",
    "adamw",
    "adamw_8bit",
    "adamw_cwd",
    "adan",
    "adanorm",
    "adapnm",
    "ademamix",
    "am_adamw",
    "am_sgd",
    "amos",
    "amsgrad",
    "asam",
    "came",
    "cautious_adamw",
    "cautious_lion",
    "dadapt_adam",
    "diffgrad",
    "dog",
    "eadam",
    "furnace",
    "furnace_lean",
    "lamb",
    "lars",
    "ldog",
    "lion",
    "lookahead",
    "momo",
    "momo_adam",
    "muon",
    "nadam",
    "nadam_simple",
    "norm_loss_sgd",
    "nsgda",
    "pnm",
    "prodigy",
    "radam",
    "ranger",
    "rmsprop",
    "sadam",
    "sam",
    "schedule_free_adamw",
    "schedule_free_radam",
    "schedule_free_sgd",
    "sgd",
    "sgd_ema",
    "sgd_gc",
    "sgd_velocity",
    "sgds",
    "sgdw",
    "shampoo",
    "sign_sgd",
    "signum",
    "sm3",
    "smmf",
    "soap",
    "stable_adamw",
    "yogi",
]
