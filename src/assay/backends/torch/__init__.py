"""Torch's ahead-of-time compiler: one package of generated code and weights, made of an exported program.

On the processor each kernel is C++ that the machine's compiler builds; weights are folded and laid out for it. On
CUDA the network computes in half precision with channels last, and each batch in flight has a stream, pinned buffers
and a captured graph of its own, so that the copies of one overlap with the computing of another. The part for CUDA is
written to torch's documented interface and was not run on a device yet.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import msgspec
import torch

from assay import environment
from assay.backends.base import ANOTHER, Batch, Settings, Start
from assay.backends.torch import kernel_profile
from assay.backends.torch.package import TorchCudaSession, TorchSession, empty, translated, without_tf32
from assay.errors import BackendError, Option, Remedy
from assay.records import BuildOptions, CompiledModel, ImageTransform, OnnxModel, Precision, Profile, Setting
from assay.storage import store

_DESCRIPTOR_BYTES = 772
_PADDING = (*range(108, 112), *range(316, 320))
"""Which bytes of a descriptor of that length are padding."""
_PACKAGE = "artifact.pt2"
"""The name while it is built, which goes into the package."""
_CUDA = "cuda"


class Torch:
    """AOTInductor: threads and batches in flight are settings of a run."""

    name = "torch"
    suffix = ".pt2"
    faithful = True
    starts_from: Start = "exported program"

    def version(self) -> str:
        """The version of the installed wheel, with the platform that it was built for."""
        return str(torch.__version__)

    def devices(self) -> Sequence[str]:
        """The first CUDA device where there is one, the others by number, and the processor."""
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return (*(_CUDA if number == 0 else f"{_CUDA}:{number}" for number in range(count)), "cpu")

    def target(self, device: str) -> str:
        """The processor's features, or the device's name and architecture: the code is generated for them."""
        if device == "cpu":
            return environment.processor_fingerprint()
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} sm_{major}{minor} cuda {torch.version.cuda}"

    def precisions(self, device: str) -> Sequence[Precision]:
        """Half precision on CUDA, single precision everywhere."""
        return ("fp32",) if device == "cpu" else ("fp16", "fp32")

    def build_settings(self, device: str) -> Settings:
        """Whether weights are folded and laid out ahead; on CUDA also whether kernels are chosen by trying them."""
        folded: dict[str, Sequence[Setting]] = {"freezing": (True, False)}
        return folded if device == "cpu" else {**folded, "autotune": (False, True)}

    def run_settings(self, device: str) -> Settings:
        """How many calls may be in flight; on the processor also the threads of one (0: one a core)."""
        if device == "cpu":
            return {"threads": (0, *range(1, environment.cores() + 1)), "streams": (1, 2)}
        return {"streams": (2, 1, 3, 4)}

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Writes the package for one batch size."""
        _write_package(model, options, out)

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> TorchSession | TorchCudaSession:
        """Loads the package."""
        values = self.run_settings(compiled.options.device)
        chosen = {key: int(run_settings.get(key, values[key][0])) for key in values}
        if compiled.options.device == "cpu":
            return TorchSession(compiled, chosen["streams"], chosen["threads"])
        return TorchCudaSession(compiled, chosen["streams"])

    def profiles_on(self, device: str) -> bool:
        """On the processor."""
        return device == "cpu"

    def profile(
        self, compiled: CompiledModel, run_settings: Mapping[str, Setting], batch: Batch, calls: int
    ) -> Profile:
        """By torch's profiler over the same program, compiled once more with marks around each kernel.

        The artifact has none, and its kernels cannot be told apart without them. What a kernel computes is not known:
        the marks have no shapes.
        """
        model = msgspec.structs.replace(compiled.model, input=compiled.input)
        if model.exported_program is not None:
            store.verified(model.exported_program)
        with tempfile.TemporaryDirectory(prefix="assay-") as folder:
            package = Path(folder) / _PACKAGE
            _write_package(model, compiled.options, package, marked=True)
            marked = msgspec.structs.replace(compiled, file=store.reference(package))
            with self.open(marked, run_settings) as session:
                return kernel_profile.profile(session, batch, calls, kernel_profile.kernels(package))


class _Whole(torch.nn.Module):
    """The network with what stands around it: normalisation of pixels in float32, and scores in float32."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: torch.nn.Module, transform: ImageTransform, options: BuildOptions) -> None:
        super().__init__()
        self._network = network
        self._pixels = options.input_kind == "uint8"
        self._half = options.precision == "fp16"
        self._channels_last = options.device != "cpu"
        for name, values in (("mean", transform.mean), ("std", transform.std)):
            constant = torch.tensor(values, dtype=torch.float32, device=options.device)
            self.register_buffer(name, constant.reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From uint8 N×H×W×3 or normalised float32 N×3×H×W to float32 N×classes."""
        if self._pixels:
            # The order of the operations is the reference's.
            images = (images.permute(0, 3, 1, 2).to(torch.float32) / 255.0 - self.mean) / self.std
        if self._half:
            images = images.to(torch.float16)
        if self._channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        scores: torch.Tensor = self._network(images).to(torch.float32)
        return scores


def _write_package(model: OnnxModel, options: BuildOptions, out: Path, marked: bool = False) -> None:
    """Compiles a model; a marked package tells torch's profiler when each of its kernels begins and ends."""
    if model.exported_program is None:
        raise BackendError(
            f"torch compiles no bare ONNX, which is all that there is of {model.name}",
            remedy=Remedy("export it with {}", Option("pt2")),
        )
    _require_compiler()
    with (
        warnings.catch_warnings(action="ignore"),
        translated(f"compile {model.name}", ANOTHER),
        _workplace(store.hash_of(model.exported_program.sha256, model.transform, options, marked)) as folder,
        _without_padding(),
        without_tf32(),
        torch.no_grad(),
    ):
        whole = _Whole(_network(model.exported_program.path, options), model.transform, options)
        example = empty(model.input, device=options.device).zero_()
        exported = torch.export.export(whole, (example,), strict=False)
        compile_package: Any = torch._inductor.aoti_compile_and_package
        compile_package(exported, package_path=str(folder / _PACKAGE), inductor_configs=_configuration(options, marked))
        shutil.copyfile(folder / _PACKAGE, out)


def _network(path: Path, options: BuildOptions) -> torch.nn.Module:
    """The network of an exported program, on its device and in its precision."""
    with path.open("rb") as file:
        program = torch.export.load(file)
    if options.device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, options.device)
    network: torch.nn.Module = program.module()
    if options.precision == "fp16":
        network = network.half()
    return network


def _configuration(options: BuildOptions, marked: bool = False) -> dict[str, Any]:
    """What the compiler is told."""
    autotunes = bool(options.settings.get("autotune", False))
    return {
        "freezing": bool(options.settings["freezing"]),
        "max_autotune": autotunes,
        # Otherwise the number of threads of the machine that compiles would be in the code.
        "cpp.dynamic_threads": True,
        # What the processor can is known; to try whether the compiler can too takes seconds.
        "cpp.vec_isa_ok": True,
        # Headers compiled ahead would stay in the system's folder for scratch.
        "cpp_cache_precompile_headers": False,
        # Addresses of Python functions would be among their messages, so that no two packages were the same.
        "size_asserts": False,
        # Processes that compile side by side help with a device's many kernels alone.
        **({"compile_threads": 1} if options.device == "cpu" else {}),
        **({"cpp.enable_kernel_profile": True} if marked else {}),
    }


def _require_compiler() -> None:
    """Raises where there is no C++ compiler, which the compiler's own message does not say in a line."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise BackendError(
            f"torch compiles C++ code, and {compiler} is not on the PATH; install it (apt install g++) or name another "
            "compiler in the variable CXX"
        )


@contextmanager
def _without_padding() -> Iterator[None]:
    """Zeroes what lies between the fields of the descriptors that oneDNN's packed weights are written down with.

    The compiler copies each descriptor, a C structure, byte for byte into its code, and with it what the stack happened
    to hold in the four bytes behind the two enumerations that a field of eight bytes follows: no two processes would
    make the same package. (`dnnl_memory_desc` in oneDNN's src/common/memory_desc.hpp.)
    """
    from torch._inductor.codegen.cpp_wrapper_cpu import CppWrapperCpu

    written: Any = CppWrapperCpu.codegen_shape_tuple

    def cleared(self: Any, values: Any) -> Any:
        # The one list of numbers of this length that is written so.
        if len(values) == _DESCRIPTOR_BYTES:
            values = [0 if place in _PADDING else value for place, value in enumerate(values)]
        return written(self, values)

    patched: Any = CppWrapperCpu
    patched.codegen_shape_tuple = cleared
    try:
        yield
    finally:
        patched.codegen_shape_tuple = written


@contextmanager
def _workplace(content: str) -> Iterator[Path]:
    """A folder for the compiler's files, removed at the end, whose name depends on what is compiled alone.

    Its path is in the generated code, so the same inputs give the same bytes; whoever compiles them too waits.
    """
    import torch._inductor.utils as inductor

    above = Path(tempfile.gettempdir()) / f"assay-torch-{os.getuid()}"
    above.mkdir(mode=0o700, exist_ok=True)
    if above.is_symlink() or above.stat().st_uid != os.getuid():
        raise BackendError(f"{above} belongs to another user; set the variable TMPDIR to a folder of your own")
    folder = above / content[:32]
    variables = {name: os.environ.get(name) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
    with filelock.FileLock(above / f"{content[:32]}.lock"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.environ.update(TORCHINDUCTOR_CACHE_DIR=str(folder), TRITON_CACHE_DIR=str(folder / "triton"))
        # What is remembered of an earlier compile lies in a folder that is gone.
        inductor.clear_inductor_caches()
        try:
            yield folder
        finally:
            inductor.clear_inductor_caches()
            for name, value in variables.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
            shutil.rmtree(folder, ignore_errors=True)
