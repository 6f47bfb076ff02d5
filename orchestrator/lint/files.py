"""Faults of templates that no runbook renders, and of alert rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.lint.finding import Finding, findings_of
from orchestrator.render import parse
from schemas.errors import InvalidInput, SessionopsError
from schemas.source import load_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from schemas.source import Document


def template_findings(ops: Path) -> Iterator[Finding]:
    """Templates that are not valid Jinja, whoever renders them."""
    for path in sorted((ops / "templates").rglob("*.j2")):
        try:
            parse(path.read_text(encoding="utf-8"), f"{path}:1")
        except InvalidInput as error:
            # Jinja's own error, which this one was made of, knows the line.
            line = getattr(error.__cause__ or error.__context__, "lineno", None) or 1
            yield Finding(f"{path}:{line}", "template", error.message, error.hint)
        except UnicodeDecodeError:
            yield Finding(f"{path}:1", "template", "this is not UTF-8")


def rule_findings(ops: Path, answered: Collection[str]) -> Iterator[Finding]:
    """Alert rules that name no runbook, or one that is not there.

    Args:
        ops: the folder with ``alerts/``.
        answered: alerts that a runbook lists under ``alerts:``.
    """
    for path in sorted((ops / "alerts").glob("*.rules.yml")):
        try:
            document = load_yaml(path)
        except SessionopsError as error:
            yield from findings_of(error, "rules")
            continue
        for keys, rule in _rules(document.data):
            yield from _rule(ops, document, keys, rule, answered)


def _rules(data: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    groups = data.get("groups") if isinstance(data, dict) else None
    for number, group in enumerate(groups or ()):
        for place, rule in enumerate(group.get("rules") or ()):
            if "alert" in rule:
                yield ("groups", number, "rules", place), rule


def _rule(
    ops: Path,
    document: Document,
    keys: tuple[str | int, ...],
    rule: dict[str, Any],
    answered: Collection[str],
) -> Iterator[Finding]:
    name, annotations = rule["alert"], rule.get("annotations") or {}
    runbook = annotations.get("runbook_url", "")
    if runbook and "://" not in runbook and not (ops / runbook).is_file():
        yield Finding(
            document.where(*keys, "annotations", "runbook_url"),
            "no-runbook",
            f"the alert {name} names {runbook}, which is not there",
        )
    elif not runbook and name not in answered:
        yield Finding(
            document.where(*keys, "alert"),
            "unanswered-alert",
            f"no runbook answers the alert {name}",
            "name one in annotations: runbook_url, or list the alert in a runbook's alerts:",
        )
    if not annotations.get("summary"):
        yield Finding(
            document.where(*keys, "alert"), "missing-help", f"the alert {name} has no summary"
        )
