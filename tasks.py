"""The door: ``invoke <task>``. Names the tasks; what they share stands in ``orchestrator.door``.

``invoke --list`` names every task, ``invoke --help <task>`` explains one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.door import inventory, runbook
from orchestrator.door.answers import answering, leave_quietly
from orchestrator.door.authoring import task_collection
from orchestrator.door.lint import lint
from orchestrator.door.promotion import promote
from orchestrator.door.running import group_task, runbook_task

if TYPE_CHECKING:
    from invoke import Collection

deploy = runbook_task(
    "deploy",
    """Deploy session tracking, or bring what is deployed up to date (guide 3).

    A second deploy changes nothing. What fails after the switch is rolled back.

    Examples: invoke deploy --plan; invoke deploy --check; invoke deploy --version v0.1.0
    """,
    own={"version": "a git ref or a wheel; default: this checkout"},
    closing={"verify": "invoke verify", "roll back": "invoke rollback"},
)

rollback = runbook_task(
    "rollback",
    """Go back to the release before, and prove that it is healthy (guide 7.2).

    Examples: invoke rollback; invoke rollback --to 0.1.0-3f2a9c1b77
    """,
    own={"to": "a release; default: the one that was active before"},
    closing={"verify": "invoke verify"},
)

verify = runbook_task(
    "verify",
    """Run the acceptance scenarios against what is live (guide 4).

    Examples: invoke verify; invoke verify --tags smoke
    """,
    own={"tags": "only scenarios with this tag, such as smoke"},
)

backup = runbook_task(
    "backup",
    """Back up the session database while it is in use, and prove the copy (guide 7.3).

    Examples: invoke backup; from cron: current/bin/invoke --search-root current/ops backup
    """,
)

health_check = runbook_task(
    "health-check",
    """Check both servers and the disk; exit code 1 when something is ill (guide 8.2).

    Examples: invoke health-check; invoke health-check --json
    """,
)

incident = group_task(
    "incident",
    "incidents",
    """Answer an incident: diagnose, mend, verify (guide 8.3); without a name list what there is.

    Examples: invoke incident; invoke incident --name session-tracking-down
    """,
)

troubleshoot = group_task(
    "troubleshoot",
    "troubleshooting",
    """Find out what is wrong and mend it (guide 6.1); without a name list what there is.

    Examples: invoke troubleshoot; invoke troubleshoot --name slow-queries
    """,
)


def namespace() -> Collection:
    """Every task by its name: those above, and the catalogue that runbook steps name."""
    from orchestrator.tasks.catalogue import collection

    root = collection()
    for below in root.collections.values():
        for name, each in list(below.tasks.items()):
            below.tasks[name] = answering(each)
    for each in (
        deploy,
        rollback,
        verify,
        backup,
        health_check,
        incident,
        troubleshoot,
        lint,
        promote,
    ):
        root.add_task(each)
    root.add_collection(runbook.collection())
    root.add_collection(inventory.collection())
    root.add_collection(task_collection())
    return root


leave_quietly()
ns = namespace()
