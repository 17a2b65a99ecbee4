"""What is at hand on this machine, and how to mend each "no": `catray doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

Row = tuple[str, str, str, str]


def examine() -> list[Row]:
    """(part, ok, found, how to mend) a row. Touches no network and loads no weights."""
    rows = [_python(), _package("ray", "make install"), _package("torch", "make install"), _cuda(), _cuml()]
    rows += [_cores(), _memory()]
    from catray.encoders.presets import PRESETS, preset_status

    for preset in PRESETS.values():
        for part, ok, where, mend in preset_status(preset):
            rows.append((f"preset {preset.name}: {part}", "yes" if ok else "no", where, "" if ok else mend))
    return rows


def _python() -> Row:
    ok = sys.version_info >= (3, 11)
    return ("Python", "yes" if ok else "no", platform.python_version(), "" if ok else "install Python 3.11 or newer")


def _package(name: str, mend: str) -> Row:
    try:
        return (name, "yes", version(name), "")
    except PackageNotFoundError:
        return (name, "no", "not installed", mend)


def _cuda() -> Row:
    import torch

    if not torch.cuda.is_available():
        return (
            "CUDA",
            "no",
            "no device: encoders and clustering run on the CPU",
            "a GPU with its driver, if you want one",
        )
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ("CUDA", "yes", f"{torch.version.cuda}: {', '.join(names)}", "")


def _cuml() -> Row:
    if importlib.util.find_spec("cuml") is None:
        return (
            "cuML",
            "no",
            "not installed: umap-learn and hdbscan do its work",
            "pip install 'catray[gpu]' where there is a GPU",
        )
    return _package("cuml-cu13", "pip install 'catray[gpu]'")


def _cores() -> Row:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ("cores", "yes", str(cores), "")


def _memory() -> Row:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ok = gib >= 4
    return ("memory", "yes" if ok else "no", f"{gib:.1f} GiB", "" if ok else "at least 4 GiB")
