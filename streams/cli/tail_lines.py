"""Records of the topics as lines for people: what happened first, bytes last."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from streams import topics
from streams.encode import read_dead_letter
from streams.follow import Followed
from streams.settings import Settings

_SHOWN_ITEMS: Final = 3
_SHOWN_PARTNERS: Final = 5
_RAW: Final = 160
_MEASURES: Final = ("churn_auc", "churn_log_loss", "churn_log_loss_base_rate")
_INDENT: Final = " " * 21


def lines(record: Followed, settings: Settings) -> list[Text]:
    """Return the lines that show a record."""
    known = {topic.full_name(settings): say for topic, say in _SAYERS.items()}
    say = known.get(record.topic, _plain)
    try:
        return say(record, decoded(record))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # Whatever somebody else has written into the topic is shown as it is.
        return _plain(record, decoded(record))


def decoded(record: Followed) -> Any:
    """Return the value of a record: JSON decoded, columns summed up, other bytes as text."""
    value = record.value
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return _columns(value) or value.decode(errors="replace")


def printable(text: str) -> str:
    r"""Return a text without characters that would steer the terminal.

    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clock(time_ms: int | None) -> str:
    """Return an event time, epoch milliseconds, in UTC.

    >>> clock(1_772_360_100_250)
    '2026-03-01 10:15:00'
    """
    if time_ms is None:
        return "-".ljust(19)
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def _columns(value: bytes) -> dict[str, Any] | None:
    """Return what columns written by workers hold, in counts; None where these are no such columns."""
    from online_models import lessons
    from online_models.errors import CorruptStateError
    from online_models.experiments.outcomes import ExperimentOutcomes
    from online_models.items.pairs import PairBatch
    from online_models.winback.outcomes import OutcomeBatch

    try:
        examples = lessons.unpack(value)
    except CorruptStateError:
        pass
    else:
        if isinstance(examples, OutcomeBatch):
            return {"outcomes": len(examples)}
        if isinstance(examples, ExperimentOutcomes):
            return {"experiment outcomes": len(examples)}
        churn = examples.kind == 0
        left = int(examples.label[churn].sum())
        return {
            "examples": len(examples),
            "churn": int(churn.sum()),
            "left": left,
            "hazard": int((~churn).sum()),
        }
    try:
        pairs = PairBatch.unpack(value)
    except CorruptStateError:
        return None
    return {"items": pairs.hashes.size, "touches": pairs.touch_item.size, "pairs": pairs.owner.size}


def _head(time_ms: int | None, subject: str, *parts: tuple[str, str] | str) -> Text:
    return Text.assemble((clock(time_ms), "dim"), "  ", (printable(subject).ljust(14), "cyan"), "  ", *parts)


def _event(_: Followed, value: Mapping[str, Any]) -> list[Text]:
    subject = f"u:{value['user_id']}" if value.get("user_id") else f"a:{value['anonymous_id']}"
    ids = [item["item_id"] for item in value.get("items") or ()] or [value.get("item_id") or ""]
    more = f" and {len(ids) - _SHOWN_PARTNERS} more" if len(ids) > _SHOWN_PARTNERS else ""
    worth = f"  {value['value']:,.2f} {value.get('currency') or ''}" if value.get("value") is not None else ""
    text = f"  {value['search_term']!r}" if value.get("search_term") else ""
    time = value["event_time"]
    at = time if isinstance(time, int) else int(datetime.fromisoformat(time).timestamp() * 1000)
    name = (printable(str(value["event_name"])).ljust(17), "bold")
    return [_head(at, subject, name, printable(", ".join(ids[:_SHOWN_PARTNERS]) + more + worth + text))]


def _recommendation(_: Followed, value: Mapping[str, Any]) -> list[Text]:
    items = value["items"]
    found = [
        _head(value["event_time"], value["subject"], f"{len(items)} items ", (value["model_version"], "dim"))
    ]
    for place, item in enumerate(items[:_SHOWN_ITEMS], 1):
        found.append(
            Text.assemble(
                _INDENT,
                f"{place}. ",
                (printable(item["item_id"]).ljust(16), "bold"),
                printable(item["reason"]),
            )
        )
    return found


def _alert(_: Followed, value: Mapping[str, Any]) -> list[Text]:
    head = _head(
        value["event_time"],
        value["subject"],
        (f"{value['probability']:.0%} leaves", "bold red"),
        f" within {value['horizon_ms'] / 86_400_000:g} d (threshold {value['threshold']:.0%}), ",
        (printable(value["action"]), "bold green"),
    )
    said = [*value["reasons"], *filter(None, [value.get("counterfactual")])]
    return [head, *(Text(f"{_INDENT}{printable(line)}") for line in said)]


def _score(record: Followed, value: Mapping[str, Any] | None) -> list[Text]:
    if value is None:
        return [_gone(record)]
    risk = f"{value['probability']:7.2%}"
    return [
        _head(value["event_time"], value["subject"], (risk, "bold"), " ", (value["model_version"], "dim"))
    ]


def _neighbours(record: Followed, value: Mapping[str, Any] | None) -> list[Text]:
    if value is None:
        return [_gone(record)]
    partners = ", ".join(partner[0] for partner in value["partners"][:_SHOWN_PARTNERS])
    more = len(value["partners"]) - _SHOWN_PARTNERS
    tail = f" and {more} more" if more > 0 else ""
    return [
        _head(
            value["event_time"],
            value["item_id"],
            (f"{value['touches']:,} touches", "bold"),
            f"  {printable(value.get('category') or '')}  with {printable(partners) or 'none yet'}{tail}",
        )
    ]


def _dead_letter(record: Followed, _: Any) -> list[Text]:
    if record.value is None:
        return [_gone(record)]
    letter = read_dead_letter(record.headers)
    if letter is None:
        raise ValueError("no dead letter")
    where = f"  {letter.topic}[{letter.partition}]@{letter.offset}"
    raw = (record.value or b"")[:_RAW].decode(errors="replace")
    key = (record.key or b"-").decode(errors="replace")
    message = printable(letter.message)
    return [
        _head(letter.timestamp, key, (letter.reason, "bold red"), f"  {message}", (where, "dim")),
        Text(f"{_INDENT}{printable(raw)}", style="dim"),
    ]


def _model(record: Followed, value: Mapping[str, Any] | None) -> list[Text]:
    if value is None:
        return [_gone(record)]
    card = value["state"].get("scorer", {}).get("card", {})
    shown = {
        name: card[name]
        for name in ("churn_auc", "churn_log_loss", "churn_log_loss_base_rate")
        if name in card
    }
    measures = ", ".join(
        f"{name.removeprefix('churn_').replace('_', ' ')} {number:.3f}" for name, number in shown.items()
    )
    return [
        _head(
            value["event_time"],
            value["model_version"],
            f"{value['examples']:,} labels",
            (f"  {measures}", "bold"),
        )
    ]


def _intervention(record: Followed, value: Mapping[str, Any]) -> list[Text]:
    outcome = value.get("outcome")
    chosen = "holdout" if value["holdout"] else f"{value['propensity']:.0%}"
    came = "" if outcome is None else "  came back" if outcome["returned"] else "  stayed away"
    name = printable(value["action"])
    return [_head(record.timestamp, value["user_id"], (name, "bold"), f"  {chosen}", (came, "dim"))]


def _worker(record: Followed, value: Mapping[str, Any] | None) -> list[Text]:
    if value is None:
        return [_gone(record)]
    owned = ", ".join(f"{agent} {numbers}" for agent, numbers in value["partitions"].items())
    where = f"  generation {value['generation']}  {printable(owned)}"
    return [_head(record.timestamp, value["instance"], (printable(value["url"]), "bold"), where)]


def _counts(record: Followed, value: Mapping[str, int]) -> list[Text]:
    counts = ", ".join(f"{number:,} {name}" for name, number in value.items())
    return [_head(record.timestamp, f"[{record.partition}]@{record.offset}", counts)]


def _gone(record: Followed) -> Text:
    return _head(record.timestamp, (record.key or b"").decode(errors="replace"), ("deleted", "dim"))


def _plain(record: Followed, value: Any) -> list[Text]:
    key = (record.key or b"-").decode(errors="replace")
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [_head(record.timestamp, key, printable(shown))]


_SAYERS: Final[dict[topics.Topic, Callable[[Followed, Any], list[Text]]]] = {
    topics.EVENTS: _event,
    topics.RECOMMENDATIONS: _recommendation,
    topics.ALERTS: _alert,
    topics.INTERVENTIONS: _intervention,
    topics.SCORES: _score,
    topics.NEIGHBOURS: _neighbours,
    topics.DEAD_LETTERS: _dead_letter,
    topics.MODELS: _model,
    topics.WORKERS: _worker,
    topics.ITEM_PAIRS: _counts,
    topics.EXAMPLES: _counts,
}
