"""kill -9 of the model proxy in the middle of calls: no budget grows, nothing is sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from agent_image.agent.model import ModelRefused, Models, ModelUnavailable
from tests.figures import dice, figure
from tests.unit.signer.house import House
from tests.unit.signer.models import SCOPE, a_scene, said

N_KILLS = figure("model-kills")
AT_ONCE = 4
RENEWED_EACH = 20  # kills


async def test_no_kill_makes_a_budget_larger(house: House) -> None:
    rolled = dice("model kills")
    cap = 3 * N_KILLS
    with TemporaryDirectory(prefix="nc-") as folder:
        async with a_scene(Path(folder), house) as scene:
            await scene.add_both()
            scope, ends_s = replace(SCOPE, requests=cap), int(time.time()) + 86_400
            session, models = await scene.session(scope, hard_expires_at=ends_s)
            calls: list[asyncio.Task[str]] = []
            for kill in range(N_KILLS + 1):
                if kill and kill % RENEWED_EACH == 0:  # it lives for three minutes
                    grant = scene.grant(session, scope, hard_expires_at=ends_s)
                    await scene.place.grant(scene.router, grant)
                proxy = await scene.start_proxy()
                calls += [
                    asyncio.create_task(_called(models, f"{kill}/{n}")) for n in range(AT_ONCE)
                ]
                if kill < N_KILLS:
                    await asyncio.sleep(rolled.random() * 0.2)
                    await proxy.kill()
            # Who was not yet connected at a kill has waited for the next proxy.
            n_answered = (await asyncio.gather(*calls)).count("answered")
            while await _called(models, "the rest") == "answered":
                n_answered += 1
            seen = [one for one in scene.provider.seen() if "path" in one]
            texts = [one["fields"]["messages"][0]["content"] for one in seen]
            ledger = scene.signer_data / "models/spent.sqlite"
            with contextlib.closing(sqlite3.connect(ledger)) as db:
                (spent, tokens) = db.execute(
                    "SELECT requests, tokens FROM spent WHERE account = ?",
                    (f"grant/{session.public}",),
                ).fetchone()
    assert n_answered <= len(seen) <= spent <= cap
    assert spent == cap  # it was used up, so the limit was put to the test
    assert tokens >= 12 * len(seen)
    once = [text for text in texts if text != "the rest"]
    assert len(once) == len(set(once))


async def _called(models: Models, text: str) -> str:
    try:
        await models.ask("/v1/messages", said(text))
    except ModelUnavailable:
        return "cut off"
    except ModelRefused as refused:
        return f"{refused.status}"
    return "answered"
