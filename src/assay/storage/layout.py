"""What lies where in a folder of assay's: declared by the step that writes it, read by whoever looks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from assay.records import Record
from assay.storage.locks import LOCK


@dataclass(frozen=True)
class Place:
    """A kind of file in a folder: its name, in which `*` stands for anything, and the record in it, if there is one."""

    name: str
    kind: type[Record] | None = None


@dataclass(frozen=True)
class Folder:
    """What may lie in a folder: files of some kinds, and folders by their names, in which `*` stands for anything."""

    places: tuple[Place, ...] = ()
    folders: Mapping[str, Folder] = field(default_factory=dict)

    def __or__(self, other: Folder) -> Folder:
        """What lies in a folder that serves as both."""
        shared = {name: self.folders[name] | other.folders[name] for name in self.folders.keys() & other.folders.keys()}
        return Folder(self.places + other.places, {**self.folders, **other.folders, **shared})

    def within(self, **folders: Folder) -> Folder:
        """The same with further folders."""
        return replace(self, folders={**self.folders, **folders})

    def place_of(self, path: Path) -> Place | None:
        """The kind of a file, by its path as seen from the folder; None if no step writes one there."""
        if len(path.parts) == 1:
            return next((place for place in self.places if fnmatchcase(path.name, place.name)), _LOCKED.get(path.name))
        first, rest = path.parts[0], Path(*path.parts[1:])
        places = (folder.place_of(rest) for name, folder in self.folders.items() if fnmatchcase(first, name))
        return next((place for place in places if place is not None), None)

    def records(self, root: Path) -> Iterator[tuple[Path, type[Record]]]:
        """The records in a folder that a step may have written there, in the order of their paths."""
        for path in sorted(root.rglob("*.json")):
            place = self.place_of(path.relative_to(root))
            if place is not None and place.kind is not None:
                yield path, place.kind

    def kinds(self) -> Iterator[type[Record]]:
        """The type of every record that may lie here."""
        yield from (place.kind for place in self.places if place.kind is not None)
        for folder in self.folders.values():
            yield from folder.kinds()


_LOCKED = {name: Place(name) for name in (LOCK, f"{LOCK}.holder")}
"""Any folder may be one process's alone for a while."""
