"""Checks that the parts of a data set's file fit each other."""

import json

import h5py


def check_shapes(file: h5py.File, splits: int) -> None:
    """Everything is there, and speaks of the same frames.

    Args:
        file: open to read.
        splits: how many there are.

    Raises:
        ValueError: something does not, or is missing or of another kind.
    """
    if not isinstance(json.loads(file.attrs["provenance"]), dict):
        raise ValueError("its provenance is no mapping")
    for name in ("split", "annotated", "names", "scales"):
        if not isinstance(file.get(name), h5py.Group if name == "scales" else h5py.Dataset):
            raise ValueError(f"{name} is missing or of another kind")
    count = len(file["split"])
    if count and int(file["split"][:].max()) >= splits:
        raise ValueError(f"split has codes above {splits - 1}")
    if not len(file["scales"]):
        raise ValueError("it has no scale")
    wanted = {"sizes", "frames", "masks"} | ({"truth"} & set().union(*map(set, file["scales"].values())))
    for group in file["scales"].values():
        if lacking := sorted(wanted - set(group)):
            raise ValueError(f"{group.name} has no {' and no '.join(lacking)}")
        shapes = {name: group[name].shape for name in wanted - {"sizes"}}
        if len(set(shapes.values())) > 1 or len(shapes["frames"]) != 3:
            raise ValueError(f"{group.name} holds arrays of shapes {shapes}")
        sizes = group["sizes"][:]
        if sizes.shape != (len(group["frames"]), 2) or (sizes < 1).any() or (sizes > shapes["frames"][1:]).any():
            raise ValueError(f"{group.name} holds sizes that its frames do not have")
    lengths = {name: len(file[name]) for name in ("annotated", "names")}
    lengths |= {group.name: len(group["frames"]) for group in file["scales"].values()}
    if wrong := {name: length for name, length in lengths.items() if length != count}:
        raise ValueError(f"split has {count} frames, other parts have {wrong}")
