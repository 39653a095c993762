"""Every preset in Lightning's automatic loop ends where a hand-written loop ends."""

import logging
import warnings

import pytest
import torch

from tests.compat.problem import EPOCHS, PRESETS, build, loader, mse, plain_loop, same, weights

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning.pytorch", reason="the compat group is not installed")

from danlu import optim

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


class Module(lightning.LightningModule):
    """The problem as Lightning wants it."""

    def __init__(self, name):
        super().__init__()
        self.name, self.model = name, build()

    def training_step(self, batch, index):
        return mse(self.model, batch)

    def configure_optimizers(self):
        optimizer = optim.create(self.name, self.model, 0.01, compile=False)
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": constant, "interval": "step"}}


@pytest.mark.parametrize("name", PRESETS)
def test_lightning_equals_a_plain_loop(name, tmp_path):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    module = Module(name)
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader())
    assert same(plain_loop(name), weights(module.model))
