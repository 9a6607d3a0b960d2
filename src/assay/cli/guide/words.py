"""What to do about an error, in words that the guide's programs know: lower floors name assay's own options.

The guide's command lines cannot hold those, so a sentence of the guide stands in place of the whole remedy.
"""

from __future__ import annotations

from collections.abc import Mapping

from assay.errors import Option, Remedy

_ANOTHER_BACKEND = "choose another backend with assay guide --backend NAME; assay doctor shows them"
_BY_OPTION: Mapping[str, str] = {
    "arch": "give weights of the guide's model, or use assay export",
    "backend": _ANOTHER_BACKEND,
    "batch": "give a smaller batch size in --input_shape",
    "budget": "give more with assay guide --budget",
    "class_list": "write the numbers of the classes, which this script reads",
    "crop": "export it with assay export, which takes the crop that it was trained for",
    "device": _ANOTHER_BACKEND,
    "input": "compile the model with atc",
    "labels": "give a file with the names of the images",
    "on_error": "mend or remove it",
    "output": "compile it with assay compile --output NAME, which chooses the one of classes",
    "pt2": "export it with assay export --pt2, or choose another backend with assay guide --backend NAME",
    "repair": "remove it, and run the guide's line that made it again",
    "set": _ANOTHER_BACKEND,
    "timeout": "look at that, or measure it with assay bench --timeout",
    "weights": "give the .onnx file that wrn101_2_pth2onnx.py wrote",
}
"""What is said in place of a remedy that names such an option."""
_BY_VALUE: Mapping[str, str] = {
    "arch": "this script exports one model alone, and assay export WEIGHTS --arch {0} exports that one",
    "batch": "give {0} in --input_shape, or export it with a free batch size",
    "crop": "give {0},{0} in --input_shape",
    "set": "give a smaller batch size in --input_shape",
}
"""The same of an option with a value to give it."""
_NONE = "no program of the guide has an option for that; assay's own commands do: see assay --help"


def remedy(of: Remedy | None) -> Remedy | None:
    """The remedy of an error of the guide's programs: as it is, where it names no option."""
    if of is None or not of.options:
        return of
    sentences = [sentence for option in of.options if (sentence := _sentence(option)) is not None]
    # What stands in a file may hold braces: a sentence is no template.
    return Remedy("{}", sentences[0] if sentences else _NONE)


def _sentence(option: Option) -> str | None:
    if option.value is not None and option.name in _BY_VALUE:
        return _BY_VALUE[option.name].format(option.value)
    return _BY_OPTION.get(option.name)
