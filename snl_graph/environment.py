"""What the library runs on: versions, devices, threads, compiler. The facts a bug report needs."""

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import torch

from snl_graph.memory import free_bytes, gibibytes
from snl_graph.version import __version__


@dataclass(frozen=True)
class Environment:
    """Facts about the running Python, its packages and the machine.

    Attributes:
        snl_graph: Version of this library.
        python: Version of Python.
        platform: Operating system and processor.
        torch: Version of PyTorch, with its build (``+cpu``, ``+cu...``).
        torch_geometric: Version of PyTorch Geometric.
        torch_scatter: Version of torch-scatter, or why it does not load; None if it is absent.
        torch_sparse: The same of torch-sparse, which samples neighbours.
        pyg_lib: The same of pyg-lib, which samples them too.
        numpy: Version of NumPy.
        scipy: Version of SciPy.
        networkx: Version of networkx.
        torchvision: Version of torchvision; None if it is absent, as the next.
        timm: Version of timm.
        lightning: Version of Lightning.
        matplotlib: Version of Matplotlib.
        safetensors: Version of safetensors.
        cuda: Versions of CUDA and cuDNN that PyTorch was built with; None of a build without.
        devices: Names of the devices tensors can live on, the processor first.
        cpu: Widest vector instructions that PyTorch uses, which decide the last bits of a sum.
        memory: Memory that could be had when asked; None where nobody knows.
        threads: Threads of one operation on the processor.
        cpp_compiler: First line of the C++ compiler's version; None if there is none, and then
            ``torch.compile`` does not work on the processor.
    """

    snl_graph: str
    python: str
    platform: str
    torch: str
    torch_geometric: str | None
    torch_scatter: str | None
    torch_sparse: str | None
    pyg_lib: str | None
    numpy: str | None
    scipy: str | None
    networkx: str | None
    torchvision: str | None
    timm: str | None
    lightning: str | None
    matplotlib: str | None
    safetensors: str | None
    cuda: str | None
    devices: list[str]
    cpu: str
    memory: str | None
    threads: int
    cpp_compiler: str | None

    def to_dict(self) -> dict[str, object]:
        """The same facts as plain values, ready for ``json.dumps``."""
        return asdict(self)


def environment() -> Environment:
    """Collect the facts about the running Python and machine.

    Example:
        >>> facts = environment()
        >>> facts.devices[0]
        'cpu'
    """
    return Environment(
        snl_graph=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        torch=torch.__version__,
        torch_geometric=_version("torch-geometric"),
        torch_scatter=_extension("torch-scatter", "torch_scatter"),
        torch_sparse=_extension("torch-sparse", "torch_sparse"),
        pyg_lib=_extension("pyg-lib", "pyg_lib"),
        numpy=_version("numpy"),
        scipy=_version("scipy"),
        networkx=_version("networkx"),
        torchvision=_version("torchvision"),
        timm=_version("timm"),
        lightning=_version("lightning"),
        matplotlib=_version("matplotlib"),
        safetensors=_version("safetensors"),
        cuda=_cuda(),
        devices=_devices(),
        cpu=torch.backends.cpu.get_cpu_capability(),
        memory=_memory(),
        threads=torch.get_num_threads(),
        cpp_compiler=cpp_compiler(),
    )


def cpp_compiler() -> str | None:
    """First line of ``--version`` of the C++ compiler that ``torch.compile`` would find.

    Returns:
        For instance ``"g++ (Debian 12.2.0-14) 12.2.0"``; None if there is no compiler.
    """
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        path = shutil.which(name) if name else None
        if path is None:
            continue
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return next(iter(answer.stdout.splitlines()), path)
    return None


def _version(distribution: str) -> str | None:
    try:
        return installed_version(distribution)
    except PackageNotFoundError:
        return None


def _extension(distribution: str, module: str) -> str | None:
    """Version of a compiled package, which may be installed and still not load."""
    version = _version(distribution)
    if version is None:
        return None
    try:
        import_module(module)
    except (ImportError, OSError) as error:  # built for another PyTorch
        reason = str(error).partition("\n")[0]
        return f"{version}, which does not load ({reason}); build it again for this PyTorch"
    return version


def _cuda() -> str | None:
    if torch.version.cuda is None:
        return None
    return f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def _memory() -> str | None:
    free = free_bytes(torch.device("cpu"))
    return None if free is None else gibibytes(free)


def _devices() -> list[str]:
    names = ["cpu"]
    names += [
        f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        for index in range(torch.cuda.device_count())
    ]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names
