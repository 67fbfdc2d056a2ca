"""The receiver that most people write: FastAPI and the official SDK's `webhooks.unwrap`; nothing kept."""

import os

from fastapi import FastAPI, HTTPException, Request
from telnyx import Telnyx

client = Telnyx(api_key="unused", public_key=os.environ["BENCH_PUBLIC_KEY"])
app = FastAPI()


@app.post("/webhooks/telnyx")
async def webhook(request: Request) -> dict[str, str]:
    """Answer 200 to what the SDK unwraps, 401 to everything else."""
    body = (await request.body()).decode()
    try:
        client.webhooks.unwrap(body, headers=dict(request.headers))
    except ValueError:
        raise HTTPException(status_code=401) from None
    return {"status": "ok"}
