"""Classes by the folders that images lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from assay.data.class_list import ClassList
from assay.errors import DatasetError, Option, Remedy, UsageError


def numbered(
    names: Sequence[str], class_of: Mapping[str, int] | None, path: Path, class_list: ClassList | None
) -> tuple[int, ...] | None:
    """Every image's class: of its folder in the class list, or without one by `class_of`; None where nothing says it.

    Raises `DatasetError` with the folders that the list does not have.
    """
    if class_of is None:
        if class_list is not None:
            raise UsageError(
                f"{class_list.path} numbers classes, and the images of {path} lie in no class folders",
                remedy=Remedy("give {} too, or leave out {}", Option("labels"), Option("class_list")),
            )
        return None
    if class_list is None:
        return tuple(class_of[name] for name in names)
    folders = [PurePosixPath(name).parent.name for name in names]
    unknown = sorted(set(folders) - set(class_list.number_of))
    if unknown:
        raise DatasetError(
            f"{len(unknown)} class folders in {path} are not in {class_list.path}; add them there, in the model's "
            "order, or take them away",
            unknown,
        )
    return tuple(class_list.number_of[folder] for folder in folders)
