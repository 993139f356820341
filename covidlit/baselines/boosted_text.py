"""LightGBM's text of a model, looked through before LightGBM reads it.

LightGBM trusts its text: damaged ones were seen to end the process without an error, or never to
end. So every list and every number that it follows is checked before.
"""

from __future__ import annotations

from collections.abc import Mapping

from covidlit.errors import CheckpointError

_TREE, _END = "\nTree=", "end of trees"
_WHOLE = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_REAL = ("split_gain", "threshold", "internal_value", "internal_weight")
_OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
"""Lists of a tree: of its nodes in whole numbers, of its nodes in any, and of its leaves."""


def check_model_text(text: object, n_features: int, n_classes: int) -> None:
    """Refuse a text that is not a whole model of these features and classes.

    Args:
        text: of `lightgbm.Booster.model_to_string`.
        n_features: that it takes.
        n_classes: that it tells apart; 1: none, it was grown for an objective of covidlit's own,
            which LightGBM's text does not name.

    Raises:
        CheckpointError: says what is wrong.
    """
    if problem := _problem(text, n_features, n_classes):
        raise CheckpointError(
            f"the model's trees are damaged: {problem}.",
            fix="use a model that covidlit wrote, or train again.",
        )


def has_a_split(text: str) -> bool:
    """Whether any tree of a model has more than one leaf."""
    return any(int(_fields(tree).get("num_leaves", "1")) > 1 for tree in _trees(text))


def _problem(text: object, n_features: int, n_classes: int) -> str:
    if not isinstance(text, str) or not text.startswith("tree\n") or _END not in text:
        return "this is no text of LightGBM"
    head = _fields(text.partition(_TREE)[0])
    per_step = n_classes if n_classes > 2 else 1
    objectives = {1: None, 2: "binary sigmoid:1"}
    objective = objectives.get(n_classes, f"multiclass num_class:{n_classes}")
    wanted = {
        "max_feature_idx": str(n_features - 1),
        "num_class": str(per_step),
        "num_tree_per_iteration": str(per_step),
        "objective": objective,
    }
    for name, value in wanted.items():
        if head.get(name) != value:
            return f"{name} is {head.get(name)!r} and not {value!r}"
    trees = _trees(text)
    # LightGBM finds its trees by these sizes, in bytes.
    start = text.find(_TREE) + 1
    sizes = head.get("tree_sizes", "").split()
    whole = text[start : text.index(_END)].encode()
    if len(sizes) != len(trees) or not all(size.isdecimal() for size in sizes):
        return "the sizes of its trees are not those of its trees"
    at = 0
    for size in map(int, sizes):
        if not whole[at:].startswith(b"Tree=") or size <= 0:
            return "the sizes of its trees are not those of its trees"
        at += size
    if whole[at:].strip():
        return "the sizes of its trees are not those of its trees"
    for number, tree in enumerate(trees):
        if not tree.startswith(f"{number}\nnum_leaves="):
            return f"tree {number}: its first lines are not those of a tree"
        try:
            wrong = _wrong_in(_fields(tree), n_features)
        except (KeyError, ValueError) as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            return f"tree {number}: {wrong}"
    return ""


def _wrong_in(tree: Mapping[str, str], n_features: int) -> str:
    leaves = int(tree["num_leaves"])
    if leaves < 1 or int(tree["num_cat"]) or int(tree.get("is_linear", "0")):
        return "a kind of tree that covidlit does not grow"
    float(tree["shrinkage"])
    if len(_numbers(tree["leaf_value"])) != leaves:
        return "leaves without a value"
    if leaves == 1:
        return ""
    nodes = leaves - 1
    columns = {name: [int(value) for value in tree[name].split()] for name in _WHOLE}
    lengths = {*map(len, columns.values()), *(len(_numbers(tree[name])) for name in _REAL)}
    of_leaves = {len(_numbers(tree[name])) for name in _OF_LEAVES}
    if lengths != {nodes} or of_leaves != {leaves}:
        return "lists of different lengths"
    if not all(0 <= feature < n_features for feature in columns["split_feature"]):
        return "a feature that is not there"
    if any(kind & 1 for kind in columns["decision_type"]):
        return "a split by category"
    seen: list[int] = []
    for node in range(nodes):
        for child in (columns["left_child"][node], columns["right_child"][node]):
            if not (node < child < nodes or -leaves <= child < 0):
                return "a branch that leads nowhere"
            seen.append(child)
    return "" if len(set(seen)) == len(seen) else "two branches that lead to one place"


def _trees(text: str) -> list[str]:
    return text.partition(_END)[0].split(_TREE)[1:]


def _fields(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _numbers(text: str) -> list[float]:
    return [float(value) for value in text.split()]
