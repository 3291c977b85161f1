"""Spans of time as people write them: "90s", "10m", "1h30m", "600"."""

import math
import re

from .errors import PlanError

_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(text: str | float) -> float:
    """The span in seconds; a bare number means seconds.

    Raises: PlanError when the text has another form, or the span is not above zero.
    """
    if isinstance(text, str):
        match = _FORM.fullmatch(text.strip().lower().replace(" ", ""))
        parts = [float(part or 0) for part in match.groups()] if match else [math.nan]
        span = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    else:
        span = float(text)
    if not (span > 0 and math.isfinite(span)):
        raise PlanError(
            f"{text!r} is not a span of time",
            where="budget",
            mend="write it as 90s, 10m, 1h30m or a number of seconds above 0",
        )
    return span


def spoken(span: float) -> str:
    """The span for a person: "8.3 s", "2 min 05 s", "1 h 30 min"."""
    if span < 59.95:
        return f"{span:.1f} s" if span < 9.95 else f"{span:.0f} s"
    minutes, rest = divmod(round(span), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
