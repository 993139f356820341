#!/usr/bin/env bash
# A task that takes its network as an argument trains with Lightning, and cannot be tested, resumed
# or loaded: save_hyperparameters() puts the module into a checkpoint that torch will not read again.
#
# Version:   pytorch-lightning 2.6.6, torch 2.14.1, 2026-11-28; installs 5.5 GB
# Expected:  what fit() writes, test(ckpt_path="best"), fit(ckpt_path=...) and load_from_checkpoint()
#            can read; or save_hyperparameters() refuses what cannot be read back
# Seen:      fit() writes the module with pickle; the three others end in UnpicklingError, because
#            torch 2.6 made weights_only=True the default of torch.load. Plain types as arguments,
#            with the network built from them inside, work.
# Output:    module as argument: test UnpicklingError, resume UnpicklingError, load UnpicklingError
#            width as argument: test ok, resume ok, load ok
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-lightning==2.6.6 torch==2.14.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import logging
import pickle
import warnings

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
DATA = DataLoader(TensorDataset(torch.randn(4, 2)))


class Task(pl.LightningModule):
    def __init__(self, net=None, width=2):
        super().__init__()
        self.save_hyperparameters()
        self.net = net or nn.Linear(width, 1)

    def training_step(self, batch, index):
        return self.net(batch[0]).mean()

    def test_step(self, batch, index):
        self.net(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(epochs):
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=".",
    )


def outcome(step):
    try:
        step()
    except pickle.UnpicklingError as error:
        return type(error).__name__
    return "ok"


def steps_of(**arguments):
    first = trainer(1)
    first.fit(Task(**arguments), DATA)
    path = first.checkpoint_callback.best_model_path
    return {
        "test": outcome(lambda: first.test(Task(**arguments), DATA, ckpt_path="best", verbose=False)),
        "resume": outcome(lambda: trainer(2).fit(Task(**arguments), DATA, ckpt_path=path)),
        "load": outcome(lambda: Task.load_from_checkpoint(path)),
    }


module, width = steps_of(net=nn.Linear(2, 1)), steps_of(width=2)
for name, steps in (("module", module), ("width", width)):
    print(f"{name} as argument:", ", ".join(f"{step} {said}" for step, said in steps.items()))
if set(module.values()) != {"UnpicklingError"} or set(width.values()) != {"ok"}:
    raise SystemExit("This has changed: read the comment at the top of this script again.")
EOF
