"""Serve one receiver, `python -m bench.receivers.serve MODULE PORT`: ours as holdtime is served, others by uvicorn."""

import importlib
import sys

from starlette.types import ASGIApp
from uvicorn import Config, Server

from ingest.app import serve_config
from ingest.site import Site


def main(module: str, port: str) -> None:
    """Serve the module's `app` on 127.0.0.1 until SIGTERM."""
    app = importlib.import_module(f"bench.receivers.{module}").app
    Server(config_of(app, int(port))).run()


def config_of(app: Site | ASGIApp, port: int) -> Config:
    """Return the settings; another receiver is served as fast as uvicorn can."""
    if isinstance(app, Site):
        return serve_config(app, host="127.0.0.1", port=port)
    return Config(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=2048,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
