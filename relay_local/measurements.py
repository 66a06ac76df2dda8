"""Shell: a running relay measured: its own counts, its process, its files."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from relay_local.hub import Hub
from relay_local.metrics import COUNTER, GAUGE, Metric, single
from relay_local.statistics import size_bytes

PREFIX = "nostrclaw_relay_"


def measure(hub: Hub, database: Path) -> tuple[Metric, ...]:
    """Everything there is to measure, now. No key, id, address or content is in it."""
    ingest, counts = hub.ingest, hub.counts
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (
        Metric(
            f"{PREFIX}events_total", COUNTER, "Events brought here, by what came of them.",
            dict(ingest.outcomes), "outcome",
        ),
        single(f"{PREFIX}last_seq", GAUGE, "The last arrival number given out.", ingest.last_seq),
        single(f"{PREFIX}queued_events", GAUGE, "Events waiting to be verified or stored.",
               ingest.queued),
        single(f"{PREFIX}frames_total", COUNTER, "Frames received.", counts.received),
        single(f"{PREFIX}deliveries_total", COUNTER, "Live events queued to a subscription.",
               counts.delivered),
        single(f"{PREFIX}connections", GAUGE, "Connections there are.", len(hub.listeners)),
        single(f"{PREFIX}subscriptions", GAUGE, "Subscriptions there are.",
               len(hub.subscriptions)),
        Metric(
            f"{PREFIX}turned_away_total", COUNTER,
            "Events and connections refused at the door, by why.",
            dict(counts.turned_away), "why",
        ),
        single(f"{PREFIX}cut_total", COUNTER, "Connections cut for what they did.", counts.cuts),
        single(f"{PREFIX}groups", GAUGE, "Groups there are.", len(ingest.world.groups.by_id)),
        single(f"{PREFIX}sessions", GAUGE, "Live session grants.", len(ingest.world.sessions)),
        single(f"{PREFIX}database_bytes", GAUGE, "Bytes of the database's files.",
               size_bytes(database)),
        single("process_cpu_seconds_total", COUNTER, "Processor time used, in seconds.",
               usage.ru_utime + usage.ru_stime),
        single("process_max_resident_memory_bytes", GAUGE, "Memory at its highest.",
               usage.ru_maxrss * 1_024),
        single(f"{PREFIX}time_seconds", GAUGE, "The relay's clock, unix seconds.", time.time()),
    )  # fmt: skip
