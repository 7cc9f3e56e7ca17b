"""Metrics: the exposition that Prometheus reads."""

import math

import pytest

from service import metrics
from service.metrics import Registry


def test_counters_have_a_line_for_each_label_value() -> None:
    registry = Registry()
    calls = registry.counter("voicemashup_calls_total", "Calls\nended.", ("cause",))
    calls.add(cause="remote")
    calls.add(2, cause='a "b"\\')
    assert registry.render() == (
        "# HELP voicemashup_calls_total Calls\\nended.\n"
        "# TYPE voicemashup_calls_total counter\n"
        'voicemashup_calls_total{cause="a \\"b\\"\\\\"} 2\n'
        'voicemashup_calls_total{cause="remote"} 1\n'
    )


def test_a_counter_without_labels_begins_at_zero_and_only_grows() -> None:
    registry = Registry()
    counter = registry.counter("voicemashup_things_total", "Things.")
    assert "voicemashup_things_total 0\n" in registry.render()
    with pytest.raises(ValueError, match="only grows"):
        counter.add(-1)


def test_a_histogram_counts_cumulatively_with_inclusive_bounds() -> None:
    registry = Registry()
    seconds = registry.histogram("voicemashup_reply_seconds", "Replies.", (0.1, 1.0), ("method",))
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.observe(value, method="get")
    lines = registry.render().splitlines()[2:]
    assert lines == [
        'voicemashup_reply_seconds_bucket{method="get",le="0.1"} 2',
        'voicemashup_reply_seconds_bucket{method="get",le="1"} 3',
        'voicemashup_reply_seconds_bucket{method="get",le="+Inf"} 4',
        'voicemashup_reply_seconds_sum{method="get"} 7.65',
        'voicemashup_reply_seconds_count{method="get"} 4',
    ]


def test_watched_numbers_are_read_when_asked() -> None:
    registry = Registry()
    live = [1]
    ended = {("remote",): 3.0, ("busy",): 1.5}
    registry.watch("voicemashup_calls", "gauge", "Live calls.", lambda: live[0])
    registry.watch("voicemashup_ended_total", "counter", "Ended.", lambda: ended, ("cause",))
    live[0] = 7
    text = registry.render()
    assert "\nvoicemashup_calls 7\n" in text
    assert 'voicemashup_ended_total{cause="busy"} 1.5\n' in text


def test_infinity_has_its_own_spelling() -> None:
    registry = Registry()
    registry.watch("voicemashup_a", "gauge", "A.", lambda: math.inf)
    registry.watch("voicemashup_b", "gauge", "B.", lambda: -math.inf)
    assert "voicemashup_a +Inf\n" in registry.render()
    assert "voicemashup_b -Inf\n" in registry.render()


def test_label_values_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SERIES_MAX", 2)
    registry = Registry()
    counter = registry.counter("voicemashup_x_total", "X.", ("who",))
    for who in ("a", "b", "c", "d", "a"):
        counter.add(who=who)
    text = registry.render()
    assert 'who="a"} 2' in text
    assert 'who="other"} 2' in text
    assert 'who="c"' not in text


@pytest.mark.parametrize(
    ("name", "help_text", "labels"),
    [
        ("calls_total", "Calls.", ()),
        ("voicemashup_calls", "Calls.", ()),
        ("voicemashup_calls_total", "", ()),
        ("voicemashup_calls_total", "Calls.", ("a-b",)),
    ],
)
def test_bad_descriptions_are_refused(name: str, help_text: str, labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="voicemashup"):
        Registry().counter(name, help_text, labels)


def test_a_name_is_used_once_and_labels_must_fit() -> None:
    registry = Registry()
    counter = registry.counter("voicemashup_x_total", "X.", ("who",))
    with pytest.raises(ValueError, match="already"):
        registry.counter("voicemashup_x_total", "X.")
    with pytest.raises(ValueError, match="labels"):
        counter.add(what="a")
    assert [one.name for one in registry.describe()] == ["voicemashup_x_total"]
