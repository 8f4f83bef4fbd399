"""backup restore-document: restore one lost document from the newest backup that has it intact."""

from functools import partial

from ecs_appliance.backup.documents import read_ledger, take_stock
from ecs_appliance.backup.plan import choose_snapshot
from ecs_appliance.backup.restore_document import RestoredDocument, name_of
from ecs_appliance.backup.restore_document import restore_document as work
from ecs_appliance.backup.run import document_rows
from ecs_appliance.core.locks import locked
from ecs_appliance.lifecycle.backup import open_machine, open_repository
from ecs_appliance.lifecycle.context import Context
from ecs_appliance.lifecycle.documents import tell_of_documents

LOCK_WAIT = 900


def restore_document(context: Context, identifier: str, *, snapshot: str = "") -> RestoredDocument:
    """Restore the document `identifier` to its place, from the backup `snapshot` if one is named.

    Also updates the alert about lost documents. Raises RefusedError if the document is there and intact,
    ApplianceError if no backup has it.
    """
    name = name_of(identifier)
    with locked(context.paths.backup_lock, "restore of a document", wait=LOCK_WAIT):
        with open_repository(context) as repository:
            snapshots = repository.snapshots()
            chosen = [choose_snapshot(snapshots, wanted=snapshot)] if snapshot else snapshots
            done = work(context.paths, repository, chosen, name, read_ledger(context.paths))
        tell_of_documents(context, take_stock(context.paths, partial(document_rows, open_machine(context))))
    return done
