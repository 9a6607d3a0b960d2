"""The options of CANN's `atc` and `aoe` that alter nothing here, and those that would and cannot be carried out.

They are those of the manuals of CANN, versions 5 to 8. How operators are built, chosen and laid out on an Ascend device
is the compiler's own matter; what would make another artifact of the model is refused with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WITHOUT_EFFECT = (
    "ac_parallel_enable",
    "aicore_num",
    "atomic_clean_policy",
    "auto_tune_mode",
    "buffer_optimize",
    "check_report",
    "core_type",
    "customize_dtypes",
    "debug_dir",
    "deterministic",
    "disable_reuse_memory",
    "display_model_info",
    "dump_mode",
    "enable_scope_fusion_passes",
    "enable_single_stream",
    "enable_small_channel",
    "fusion_switch_file",
    "host_env_cpu",
    "host_env_os",
    "keep_dtype",
    "mdl_bank_path",
    "modify_mixlist",
    "op_bank_path",
    "op_compiler_cache_dir",
    "op_compiler_cache_mode",
    "op_debug_config",
    "op_debug_level",
    "op_precision_mode",
    "op_select_implmode",
    "optypelist_for_implmode",
    "quant_dumpable",
    "shape_generalized_build_mode",
    "status_check",
    "tiling_schedule_optimize",
    "virtual_type",
)
_OF_THE_TUNER = ("device", "progress_bar", "reload", "tune_optimization_level", "tune_ops_file", "tuning_name")

_ONE_BATCH = "an artifact has one batch size; compile one for each"
_OWN_PRECISION = "the artifact computes as the model is written; assay compile --precision chooses another"
_OWN_WEIGHTS = "the weights stay in the artifact as the model holds them"
_OWN_LAYOUT = "images are float32 N×3×H×W, as the .bin files hold them"
_ONE_FILE = "an artifact is one file, NAME.om, and its record"
_AS_IT_IS: Mapping[str, tuple[Sequence[str], str]] = {
    "compress_weight_conf": ((), _OWN_WEIGHTS),
    "dynamic_batch_size": ((), _ONE_BATCH),
    "dynamic_dims": ((), _ONE_BATCH),
    "dynamic_image_size": ((), "an artifact has one image size"),
    "enable_compress_weight": (("false",), _OWN_WEIGHTS),
    "external_weight": (("0",), _ONE_FILE),
    "input_fp16_nodes": ((), _OWN_LAYOUT),
    "input_shape_range": ((), _ONE_BATCH),
    "insert_op_conf": (
        (),
        "the artifact takes normalised float32; assay compile --input uint8 puts normalising into it",
    ),
    "is_input_adjust_hw_layout": (("false",), _OWN_LAYOUT),
    "is_output_adjust_hw_layout": (("false",), "scores are float32, as the dumps hold them"),
    "json": ((), "a model is made into an artifact here, and into no JSON"),
    "mode": (("0",), "a model is made into an artifact here, which is --mode=0"),
    "om": ((), "a model is made into an artifact here, and none is read"),
    "out_nodes": ((), "the model's output of classes is taken; assay compile --output NAME chooses another"),
    "output_type": (("FP32",), "scores are float32, as the dumps hold them"),
    "precision_mode": (("must_keep_origin_dtype",), _OWN_PRECISION),
    "precision_mode_v2": (("origin",), _OWN_PRECISION),
    "save_original_model": (("false",), _ONE_FILE),
    "singleop": ((), "a whole model is made into an artifact here"),
    "sparsity": (("0",), _OWN_WEIGHTS),
}
"""The values that ask for what is done anyway, and why none else can be had."""


_OF_THE_COMPILER_ALONE = frozenset(
    {
        "check_report",
        "core_type",
        "debug_dir",
        "display_model_info",
        "dump_mode",
        "json",
        "mode",
        "om",
        "op_compiler_cache_dir",
        "op_compiler_cache_mode",
        "save_original_model",
        "status_check",
    }
)
"""What `aoe` does not know."""


class Ignored(argparse.Action):
    """Keeps the flags that have no effect here, so that they can be named."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Keeps one, and its value."""
        namespace.ignored = [*(namespace.ignored or ()), (option, values)]


class _AsItIs(Ignored):
    """A flag of which only the values can be taken that ask for what is done anyway."""

    def __init__(self, *arguments: Any, taken: Sequence[str], reason: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._taken, self._reason = taken, reason

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if values.lower() not in map(str.lower, self._taken):
            parser.error(f"{option}={values}: {self._reason}")
        super().__call__(parser, namespace, values, option)


def add_of_the_compiler(made: argparse.ArgumentParser) -> None:
    """Adds those of `atc`."""
    _add(made, _WITHOUT_EFFECT, _AS_IT_IS)


def add_of_the_tuner(made: argparse.ArgumentParser) -> None:
    """Adds those of `aoe`: most of the compiler's, and its own."""
    shared = [name for name in _WITHOUT_EFFECT if name not in _OF_THE_COMPILER_ALONE]
    _add(made, [*shared, *_OF_THE_TUNER], [name for name in _AS_IT_IS if name not in _OF_THE_COMPILER_ALONE])


def _add(made: argparse.ArgumentParser, without_effect: Iterable[str], as_it_is: Iterable[str]) -> None:
    for name in without_effect:
        made.add_argument(f"--{name}", action=Ignored, metavar="…")
    for name in as_it_is:
        taken, reason = _AS_IT_IS[name]
        made.add_argument(f"--{name}", action=_AsItIs, taken=taken, reason=reason, metavar="…")
