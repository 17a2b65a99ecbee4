"""The service: `catray serve`, or `serve run configs/serve.yaml` where Ray runs already.

curl -F title="red sneakers" -F image=@shoe.jpg http://127.0.0.1:8000/v1/categorize
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from pathlib import Path

from ray import serve as ray_serve
from ray.serve.config import HTTPOptions

from catray.artifact import require_manifest
from catray.cluster import connect, user_message
from catray.config import Config
from catray.errors import CatrayError
from catray.serving.deployments import Ingress, MultimodalStage, TextStage
from catray.serving.schemas import ServeArgs

logger = logging.getLogger(__name__)
NAME = "catray"


def build_app(args: ServeArgs) -> ray_serve.Application:
    """The application, for `serve run`, serve.yaml and `serve` below."""
    folder = str(Path(args.model).absolute())
    stage = {"model": folder, "device": args.device, "precision": args.precision}
    args = args.model_copy(update={"model": folder})
    app: ray_serve.Application = Ingress.bind(  # type: ignore[attr-defined]
        TextStage.bind(**stage),  # type: ignore[attr-defined]
        MultimodalStage.bind(**stage),  # type: ignore[attr-defined]
        args,
    )
    return app


def serve(config: Config, model_dir: str | Path | None = None, blocking: bool = True) -> str:
    """Start the service and return its address; with `blocking`, serve until Ctrl-C or SIGTERM and then stop it.

    Errors: CatrayError where there is no model, the port is taken, or a stage doesn't start (with its reason).
    """
    if not blocking:
        return _start(config, model_dir)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _start(config, model_dir)
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        logger.info("stopping")
        stop()
        return ""
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(config: Config, model_dir: str | Path | None) -> str:
    started = time.monotonic()
    settings = config.serving
    folder = Path(model_dir) if model_dir else config.folder("models", config.model.name)
    require_manifest(folder, "train")
    connect()
    if not ray_serve.status().proxies:  # Serve doesn't run yet
        _check_port(settings.host, settings.port)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    logger.info("starting: three processes load %s and its encoders", folder)
    args = ServeArgs(
        model=str(folder),
        threshold=settings.threshold,
        max_image_bytes=settings.max_image_bytes,
        device=config.embedding.device,
        precision=config.embedding.precision,
    )
    ray_serve.start(http_options=HTTPOptions(host=settings.host, port=settings.port, request_timeout_s=60))
    try:
        ray_serve.run(build_app(args), name=NAME, route_prefix="/")
    except RuntimeError as error:
        reason = _why_not()
        stop()
        raise CatrayError(f"the service didn't start: {reason or error}") from error
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    address = f"http://{host}:{settings.port}"
    logger.info("ready at %s after %.0f s, try: %s", address, time.monotonic() - started, example(address))
    return address


def stop() -> None:
    """Stop the service, letting requests finish. Serve's own processes end with Ray."""
    ray_serve.delete(NAME)


def example(address: str) -> str:
    return f'curl -F title="red running shoes" {address}/v1/categorize  (a picture: add -F image=@FILE; {address}/docs)'


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CatrayError(
                f"can't listen on {host}:{port} ({error.strerror}): choose another with --set serving.port=PORT"
            ) from error


def _why_not() -> str | None:
    """The reason of the first deployment that didn't start: the CatrayError in its message, if there is one."""
    application = ray_serve.status().applications.get(NAME)
    for deployment in application.deployments.values() if application else ():
        if message := user_message(deployment.message):
            return message
    return None
