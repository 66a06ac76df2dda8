"""Pure: amounts and times as people read them."""

from __future__ import annotations

from bot.commands.facts import Money


def money(amount: Money, *, zero: bool = True) -> str:
    """`3 runs, 1,200 tokens, $0.04`; what is None is left out, with `zero` False what is nothing
    too."""
    said = []
    if amount.runs or (zero and amount.runs == 0):
        said.append("1 run" if amount.runs == 1 else f"{amount.runs:,} runs")
    if amount.tokens or (zero and amount.tokens == 0):
        said.append(f"{amount.tokens:,} tokens")
    if amount.microusd or (zero and amount.microusd == 0):
        said.append(dollars(amount.microusd))
    return ", ".join(said)


def dollars(microusd: int) -> str:
    """`$2.50`; less than a cent with the digits that it needs."""
    usd = microusd / 1_000_000
    return f"${usd:.2f}" if usd >= 0.01 or not microusd else f"${usd:.6f}".rstrip("0")


def duration(seconds: int) -> str:
    """`12 s`, `3 min`, `2 h 5 min`, `4 days`."""
    seconds = max(0, seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        minutes = seconds % 3_600 // 60
        return f"{seconds // 3_600} h" + (f" {minutes} min" if minutes else "")
    return f"{seconds // 86_400} days"


def ago(then: int, now_s: int) -> str:
    """`5 min ago`."""
    return "just now" if now_s - then < 2 else f"{duration(now_s - then)} ago"
