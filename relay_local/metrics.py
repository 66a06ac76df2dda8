"""Pure: measurements as Prometheus reads them. Source: its "Text-based format", version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTER, GAUGE = "counter", "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured thing. kind: `counter`, which only grows, or `gauge`. samples: the value of
    each label's value; the one key "" stands for a metric without a label.
    """

    name: str
    kind: str
    meaning: str
    samples: Mapping[str, float]
    label: str = ""


def single(name: str, kind: str, meaning: str, value: float) -> Metric:
    """A metric of one value."""
    return Metric(name, kind, meaning, {"": value})


def render(metrics: Iterable[Metric]) -> str:
    """All of them as the body of one answer."""
    lines: list[str] = []
    for metric in metrics:
        lines += [
            f"# HELP {metric.name} {_escaped(metric.meaning)}",
            f"# TYPE {metric.name} {metric.kind}",
        ]
        for value, measured in sorted(metric.samples.items()):
            quoted = _escaped(value).replace('"', '\\"')
            of_which = f'{{{metric.label}="{quoted}"}}' if metric.label else ""
            lines.append(
                f"{metric.name}{of_which} {measured:g}"
                if measured % 1
                else f"{metric.name}{of_which} {int(measured)}"
            )
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
