"""agent_image/agent/utterance.py: what the agent asks the signer for."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agent_image.agent import utterance
from agent_image.agent.job import Job
from nips.own.once import once_key


@pytest.fixture
def job(scene: Any) -> Job:
    return cast(Job, scene.job(scene.message("hello", kind=40002)))


def test_a_reply_names_group_message_author_and_job(job: Job, scene: Any) -> None:
    to = job.message
    template = utterance.reply(job, to, "hi", "send_message/1", scene.now)
    assert (template.pubkey, template.kind, template.content) == (scene.bot.public, 9, "hi")
    assert template.tags == (
        ("h", scene.group),
        ("o", once_key(job.id, "send_message/1")),
        ("q", to.id),
        ("p", scene.person.public),
        ("job", job.id),
        ("L", "agent"),
        ("l", "ai", "agent"),
    )


def test_a_reaction_names_what_it_reacts_to(job: Job, scene: Any) -> None:
    template = utterance.reaction(job, job.message, "👍", "react/1", scene.now)
    assert (template.kind, template.content) == (7, "👍")
    assert template.tag("e") == job.message.id
    assert template.tag("p") == scene.person.public
    assert template.tag("k") == "40002"
    assert template.values("h") == [scene.group]


def test_what_is_public_names_no_group(job: Job, scene: Any) -> None:
    template = utterance.public(job, 1, "to all", "publish_note/1", scene.now)
    assert template.values("h") == []
    assert template.tag("job") == job.id


def test_the_once_key_is_the_call_and_the_job_alone(job: Job, scene: Any) -> None:
    """A second attempt says it otherwise and later; it is still the same utterance."""
    to = job.message
    first = utterance.reply(job, to, "one", "send_message/1", scene.now)
    again = utterance.reply(job, to, "another", "send_message/1", scene.now + 9)
    second = utterance.reply(job, to, "one", "send_message/2", scene.now)
    assert first.tag("o") == again.tag("o") != second.tag("o")
