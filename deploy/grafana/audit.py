"""The dashboard *Audit*: what truecount finds in the counts."""

from __future__ import annotations

from deploy.grafana.panels import EVENTS_PER_SECOND, Panel, carried, in_last_hour, rate

COUNTED = carried("truecount_counted_events", "metric", "part")

PART_COLORS = (("valid", "green"), ("quarantined", "orange"), ("invalid", "red"), ("undone", "gray"))
"""Undone events were taken back by their own actor: no fraud, so no color of an alarm."""


def share(part: str) -> str:
    """PromQL of a part's share of the count without undone events, by metric; 0 if the part is empty."""
    acts = f"sum by (metric) ({carried(NOT_UNDONE, 'metric', 'part')})"
    of_part = carried(f'truecount_counted_events{{part="{part}"}}', "metric")
    return f"sum by (metric) ({of_part}) / ({acts} > 0)"


NOT_UNDONE = 'truecount_counted_events{part!="undone"}'
OPENED = 'truecount_flags_total{status="opened", verdict!~"explained|rule"}'
LAST_DAY = "[1d]"

PANELS = (
    Panel(
        "Open cases",
        "Cases that are open now: a flag was opened and not closed. Their artificial events are quarantined.",
        "short",
        ((f"sum({carried('truecount_open_cases')})", "open"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Flags opened, 24 h",
        "Flags opened in the last 24 hours, without explained surges and rule bursts.",
        "short",
        ((f"sum(increase({OPENED}{LAST_DAY}))", "flags"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Surges explained, 24 h",
        "Surges of the last 24 hours whose crowd is the platform's own, or that were announced. They move no event.",
        "short",
        (('sum(increase(truecount_flags_total{status="opened", verdict="explained"}[1d]))', "surges"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Removed, 24 h",
        "Events that cases took out of valid counts in the last 24 hours, quarantined ones included.",
        "short",
        (('sum(increase(truecount_corrected_events_total{to!="valid"}[1d]))', "events"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Time to detect",
        "Median time from the onset of an incident to its first flag, in the last 24 hours. Empty without flags.",
        "s",
        (("histogram_quantile(0.5, sum by (le) (rate(truecount_detection_seconds_bucket[1d])))", "median"),),
        kind="stat",
    ),
    Panel(
        "Targets",
        "Targets and metrics that have counts.",
        "short",
        ((f"sum({carried('truecount_targets')})", "targets"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Raw, by part of the count",
        "Present part of all events counted. The stack is raw = valid + quarantined + invalid; here the events that "
        "their own actor took back (unlikes, unfollows) are apart from the invalid ones.",
        "short",
        ((f"sum by (part) ({COUNTED})", "{{part}}"),),
        stacked=True,
        core=True,
        colors=PART_COLORS,
    ),
    Panel(
        "Not valid, share of the count",
        "Share of each metric's count that is quarantined or invalid. Undone events are in neither part of the "
        "fraction.",
        "percentunit",
        (
            (share("quarantined"), "{{metric}} quarantined"),
            (share("invalid"), "{{metric}} invalid"),
        ),
        core=True,
    ),
    Panel(
        "Open cases over time",
        "Cases that are open at each moment.",
        "short",
        ((f"sum({carried('truecount_open_cases')})", "open"),),
        core=True,
    ),
    Panel(
        "Flags opened by reason",
        "Flags opened in the last hour, by metric and leading reason. `truecount flags` lists them.",
        "short",
        ((in_last_hour("truecount_flag_reasons_total", "metric", "reason") + " > 0", "{{metric}} {{reason}}"),),
        stacked=True,
    ),
    Panel(
        "Removed by cases, by reason",
        "Events per second that cases take out of a count: quarantined while the case is open, then invalid under its "
        "reason. `truecount counts --by removed` lists the targets.",
        EVENTS_PER_SECOND,
        ((rate('truecount_corrected_events_total{to!="valid"}', "to") + " > 0", "{{to}}"),),
        stacked=True,
    ),
    Panel(
        "Invalid on arrival, by rule",
        "Events per second that a rule found invalid, by its reason. Undone events are not among them.",
        EVENTS_PER_SECOND,
        ((rate("truecount_rejected_events_total", "reason"), "{{reason}}"),),
        stacked=True,
        core=True,
    ),
    Panel(
        "Flag revisions by verdict",
        "Revisions of flags in the last hour, by verdict and status. Explained surges and rule bursts are no alarm.",
        "short",
        (
            (
                in_last_hour('truecount_flags_total{verdict!~"explained|rule"}', "verdict", "status"),
                "{{verdict}} {{status}}",
            ),
            (in_last_hour('truecount_flags_total{verdict="explained", status="opened"}'), "surges explained"),
            (in_last_hour('truecount_flags_total{verdict="rule", status="opened"}'), "rule bursts"),
        ),
        stacked=True,
        core=True,
    ),
    Panel(
        "Time to detect over time",
        "Time from the onset of an incident to its first flag, median and 95th percentile of the last hour.",
        "s",
        (
            (
                "histogram_quantile(0.5, sum by (metric, le) (rate(truecount_detection_seconds_bucket[1h])))",
                "{{metric}} p50",
            ),
            (
                "histogram_quantile(0.95, sum by (metric, le) (rate(truecount_detection_seconds_bucket[1h])))",
                "{{metric}} p95",
            ),
        ),
    ),
    Panel(
        "Detectors with evidence",
        "Judged windows of the last hour that are rarer for a detector than one in a hundred honest windows. "
        "A detector that never has evidence, or has it in most windows, does not fit the platform.",
        "short",
        ((in_last_hour('truecount_detector_witnesses_total{verdict!="failed"}', "detector"), "{{detector}}"),),
        core=True,
    ),
    Panel(
        "Judged windows by verdict",
        "Windows in a surge that were judged in the last hour, by verdict; and verdicts that were withheld.",
        "short",
        (
            (in_last_hour("truecount_judged_windows_total", "verdict"), "{{verdict}}"),
            (in_last_hour("truecount_withheld_verdicts_total"), "withheld"),
        ),
        core=True,
    ),
    Panel(
        "Detection failures",
        "Contained exceptions in the last hour, by part; and failures of configured models. There should be none.",
        "short",
        (
            (in_last_hour("truecount_unjudged_windows_total", "part"), "{{part}}"),
            (in_last_hour('truecount_detector_witnesses_total{verdict="failed"}', "detector"), "model {{detector}}"),
        ),
        core=True,
    ),
    Panel(
        "Rulings on actors, by kind",
        "New or changed rulings of the last hour, by kind. `truecount actors` lists them. Empty without [actors].",
        "short",
        ((in_last_hour("truecount_rulings_total", "kind") + " > 0", "{{kind}}"),),
        stacked=True,
    ),
    Panel(
        "Rulings taken back, by kind",
        "Rulings of the last hour that were taken back: the account acts differently now, a case was settled for it, it"
        " is allowed, or the ruling has expired. Many of one kind: it is wrong about this platform.",
        "short",
        ((in_last_hour("truecount_reversed_rulings_total", "kind") + " > 0", "{{kind}}"),),
        stacked=True,
    ),
    Panel(
        "Actors stored",
        "Actors of which something is stored, over all partitions.",
        "short",
        ((f"sum({carried('truecount_accounts')})", "actors"),),
    ),
    Panel(
        "Questions that wait for settlement",
        "Questions of suspect cases about the conduct of their accounts: those that wait, and those of the last hour"
        " that were answered or refused.",
        "short",
        (
            (f"sum({carried('truecount_open_questions')})", "open"),
            (in_last_hour("truecount_answered_questions_total", "outcome"), "{{outcome}}"),
        ),
    ),
)
