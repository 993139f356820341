"""CLAIM items on model and training (1, 22 to 27), answered from a run's files."""

from __future__ import annotations

from pathlib import Path

from covidlit.cards.run_artefacts import CHECKPOINT, FOLDS, MULTIRUN, Facts
from covidlit.cards.wording import last_name, numbers, plain, record_text

_NOT_DETERMINISTIC = ("MaxPool3d", "AvgPool3d", "AdaptiveAvgPool3d")


def is_network(facts: Facts) -> bool:
    """Whether the model is trained by Lightning; classical ones have no task."""
    return "task" in facts.get("config.yaml", "model")


def is_of_factors(facts: Facts) -> bool:
    """Whether the model learns from the factors of lesions and not from images (data=factors)."""
    return facts.find("config.yaml", "data.factors") is not None


def technology(facts: Facts) -> list[str]:
    """Item 1: the kind of technology."""
    if is_network(facts):
        net = facts.get("config.yaml", "model.task.net._target_")
        return [f"Deep learning: the 3D convolutional network {last_name(net)}."]
    kind = last_name(facts.get("config.yaml", "model.classifier._target_"))
    seen = "quantitative factors of lesions" if is_of_factors(facts) else "features"
    return [f"Classical machine learning: {kind} on {seen} measured in the images."]


def architecture(facts: Facts) -> list[str]:
    """Item 22: inputs, outputs, layers, parameters and operations."""
    described = facts.find("metrics.json", "record.model")
    if not is_network(facts):
        return [
            f"{name}: {value}." for name, value in facts.get("metrics.json", "record.model").items()
        ]
    size, layers = facts.get(CHECKPOINT, "input"), facts.get(CHECKPOINT, "layers")
    n_classes = facts.get(CHECKPOINT, "n_classes")
    flops = facts.find(CHECKPOINT, "flops")
    arguments = record_text(facts.get(CHECKPOINT, "arguments"))
    network = facts.get(CHECKPOINT, "network")
    lines = [
        f"Network {network} with {arguments}; its connections are those of this class.",
        f"Input: one volume of {numbers(size)} voxels (z, y, x), one channel, values 0 to 1."
        if size is None or len(size) == 3
        else f"Input: {size[0]} numbers of a row, of which the network prepares its features.",
        "Output: one logit, whose sigmoid is the score."
        if n_classes == 2
        else f"Output: {n_classes} logits, whose softmax gives one score per class.",
        f"Layers by kind: {record_text(layers)}.",
        f"Parameters: {facts.get(CHECKPOINT, 'parameters'):,}, "
        f"of which {facts.get(CHECKPOINT, 'trainable'):,} are trained.",
        f"Operations for one volume: {_flops_text(flops)} in convolutions and matrix products (a "
        "multiplication with its addition counts as two)."
        if flops is not None
        else f"Operations for one volume: not counted ({facts.find(CHECKPOINT, 'flops_reason')}).",
    ]
    resumed = (described or {}).get("went on from")
    return [*lines, f"Went on from: {resumed}."] if resumed else lines


def software(facts: Facts) -> list[str]:
    """Item 23: versions, and the hash of the configuration that they ran."""
    lines = [
        f"{name} {version}."
        for name, version in facts.get("metrics.json", "record.versions").items()
    ]
    hashed = facts.find("metrics.json", "record.config_hash")
    return [*lines, f"SHA-256 of the configuration: {hashed}."] if hashed else lines


def initial_values(facts: Facts) -> list[str]:
    """Item 24: random or from a file."""
    if not is_network(facts):
        return [f"None beside the seed of the fit, {facts.get('config.yaml', 'seed')}."]
    net = facts.get("config.yaml", "model.task.net")
    seed = facts.get("config.yaml", "seed")
    lines = []
    if net.get("pretrained"):
        file = Path(str(net["pretrained"])).name
        lines.append(f"Transfer learning: weights of {file}; the others random.")
    else:
        lines.append("Random, no transfer learning.")
    lines.append(f"Seed {seed}; the distributions are those of the network's class.")
    if net.get("zero_init"):
        lines.append("Each residual block starts as the identity (zero_init).")
    went_on = facts.find("config.yaml", "ckpt_path")
    return [*lines, f"The training went on from the checkpoint {went_on}."] if went_on else lines


def training(facts: Facts) -> list[str]:
    """Item 25: settings, hardware, seed, number of models."""
    settings = facts.get("metrics.json", "record.training")
    lines = [f"{name}: {value}." for name, value in settings.items()]
    seed = facts.get("config.yaml", "seed")
    lines += [f"Seed: {seed}.", _hardware(facts)]
    if is_network(facts):
        lines.append(f"Precision: {facts.get('config.yaml', 'trainer.precision')}.")
        epochs = facts.find(CHECKPOINT, "epochs")
        if epochs is not None:
            of = f" of {next(iter(facts.run.files[FOLDS]))}" if FOLDS in facts.run.files else ""
            lines.append(f"The weights{of} are those after epoch {epochs}.")
    lines += determinism(facts)
    return [*lines, _number_of_models(facts)]


def determinism(facts: Facts) -> list[str]:
    """Whether a repetition gives the same weights; only a training on CUDA has something to say.

    Source: the list under `torch.use_deterministic_algorithms` in PyTorch's reference.
    """
    if not is_network(facts) or facts.find("hardware.json", "accelerator") != "cuda":
        return []
    layers = facts.find(CHECKPOINT, "layers") or {}
    pools = {name: layers[name] for name in _NOT_DETERMINISTIC if name in layers}
    if not pools:
        return []
    setting = facts.find("config.yaml", "trainer.deterministic")
    return [
        f"Trained on CUDA, where the backward pass of {record_text(pools)} is not deterministic: "
        f"the same seed gives similar weights and scores, not the same ones "
        f"(trainer.deterministic: {setting})."
    ]


def model_selection(facts: Facts) -> list[str]:
    """Item 26: what chose the weights."""
    if not is_network(facts) and facts.get("metrics.json", "record.model"):
        chosen = facts.find("metrics.json", "record.selected_on")
        return [
            f"The parameters were chosen on {chosen}."
            if chosen
            else "None was selected: the parameters are those of the configuration."
        ]
    chosen = facts.get("metrics.json", "record.selected_on")
    if chosen == "validation":
        metric = facts.get(CHECKPOINT, "monitor")
        return [f"The checkpoint with the best {metric}, without looking at the test part."]
    if chosen == "last epoch":
        return ["None was selected: the weights of the last epoch."]
    return [f"Selected on: {chosen}."]


def ensembling(facts: Facts) -> list[str]:
    """Item 27: a run scores with one model."""
    model = facts.get("metrics.json", "run.model")
    return [f"None: each score comes from one trained {model}, of each scan as it is, once."]


def _flops_text(count: int) -> str:
    return f"{count / 1e9:.3g} GFLOPs" if count >= 1e8 else f"{count / 1e6:.3g} MFLOPs"


def _hardware(facts: Facts) -> str:
    cores, machine = facts.get("hardware.json", "cores"), facts.get("hardware.json", "machine")
    kind = facts.get("hardware.json", "accelerator")
    text = f"Hardware: {machine}, {cores} cores"
    if kind == "cpu":
        return f"{text}, no GPU used."
    count, nodes = facts.find("hardware.json", "n_devices"), facts.find("hardware.json", "n_nodes")
    names = ", ".join(facts.find("hardware.json", "device_names") or [kind])
    cuda = facts.find("hardware.json", "cuda")
    on = f" on each of {nodes} machines" if isinstance(nodes, int) and nodes > 1 else ""
    return f"{text}; {count or 'some'} x {names}{on}{f', CUDA {cuda}' if cuda else ''}."


def _number_of_models(facts: Facts) -> str:
    count, folds = facts.find(MULTIRUN, "n_runs"), facts.run.files.get(FOLDS)
    if folds:
        repeated = len({split.get("fold") for split in folds.values()}) < len(folds)
        each = "one per fold and repeat" if repeated else "one per fold"
        return f"Number of models: {len(folds)}, {each}, trained alike."
    if count is None:
        return "Number of models: this run is part of no sweep."
    varied = facts.find(MULTIRUN, "varied")
    return (
        f"Number of models: runs in the sweep's folder when this was written: {count}"
        f"{f', over {plain(varied)}' if varied else ''}. Write it again after the last one."
    )
