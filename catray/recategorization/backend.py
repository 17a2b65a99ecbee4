"""One door to UMAP and HDBSCAN: cuML on a GPU, umap-learn and hdbscan elsewhere; their constructors agree.

    backend = load_backend("auto")         # decided once, logged with its reason
    backend.UMAP(n_neighbors=15, random_state=0, **backend.umap_extra).fit_transform(x)

Hand in float32 C-contiguous numpy, get numpy. The same seed gives the same numbers on one machine with one backend, not
across backends, versions or machines: compare quality and agreement (ARI), never coordinates.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

from catray.errors import CatrayError

logger = logging.getLogger(__name__)
MEND = "install it with pip install 'catray[gpu]' where there is a GPU, or set recategorization.backend=auto"


@dataclass(frozen=True)
class Backend:
    name: Literal["cuml", "cpu"]
    reason: str
    UMAP: Any
    """The class; metric euclidean and `init="spectral"` are what both sides share."""
    HDBSCAN: Any
    """The class; metric euclidean only."""
    versions: dict[str, str]
    umap_extra: dict[str, Any] = field(default_factory=dict)
    """What only this side's UMAP takes: threads here, out-of-core knobs there."""
    hdbscan_extra: dict[str, Any] = field(default_factory=dict)


def load_backend(choice: Literal["auto", "cuml", "cpu"] = "auto") -> Backend:
    """`auto`: cuML where it imports and sees a device, otherwise the CPU twins.

    Errors: CatrayError where `cuml` is asked for and can't work; it never falls back silently.
    """
    problem = "recategorization.backend=cpu" if choice == "cpu" else _cuml_problem()
    if problem is None:
        backend = _cuml()
    elif choice == "cuml":
        raise CatrayError(f"recategorization.backend=cuml: {problem}; {MEND}")
    else:
        backend = _cpu(problem)
    logger.info("clustering backend: %s (%s)", backend.name, backend.reason)
    return backend


def _cuml_problem() -> str | None:
    """Why cuML can't work here; None where it can."""
    if importlib.util.find_spec("cuml") is None:
        return "cuML is not installed"
    try:
        import cuml
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
        del cuml
    except Exception as error:  # a broken driver or install shows as anything from ImportError to CUDARuntimeError
        return f"cuML does not load: {' '.join(str(error).split())[:200]}"
    return None if count else "no CUDA device is visible"


def _cuml() -> Backend:
    import cuml
    import cupy
    from cuml.cluster import HDBSCAN
    from cuml.manifold import UMAP

    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    versions = {"cuml": cuml.__version__}
    return Backend("cuml", f"cuML {cuml.__version__} on {device}", UMAP, HDBSCAN, versions)


def _cpu(reason: str) -> Backend:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap says at import that it has no tensorflow
        from hdbscan import HDBSCAN
        from umap import UMAP

    versions = {name: version(name) for name in ("umap-learn", "hdbscan", "numba")}
    # one thread: umap-learn gives up its threads under a seed anyway, and warns unless told so
    return Backend("cpu", reason, UMAP, HDBSCAN, versions, {"n_jobs": 1}, {"core_dist_n_jobs": 1})
