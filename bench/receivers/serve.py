"""Serve one receiver, `python -m bench.receivers.serve MODULE PORT`, with the settings that holdtime serves with."""

import importlib
import sys

from uvicorn import Server

from ingest.app import serve_config


def main(module: str, port: str) -> None:
    """Serve the module's `app` on 127.0.0.1 until SIGTERM."""
    app = importlib.import_module(f"bench.receivers.{module}").app
    config = serve_config(app, host="127.0.0.1", port=int(port))
    config.lifespan = "auto"  # the bare receiver has none
    Server(config).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
