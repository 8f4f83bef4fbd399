"""Have the application compare restored documents with its database; raise the alert about lost documents."""

import hashlib

from ecs_appliance.app.documents import read_documents
from ecs_appliance.app.shell import Send
from ecs_appliance.app.vaultkeys import PUBLIC, SECRET
from ecs_appliance.backup.comparison import Documents, compare, read_proofs
from ecs_appliance.backup.documents import Stock, hash_all, read_ledger, today
from ecs_appliance.core.paths import Paths
from ecs_appliance.lifecycle.context import Context

TOPIC = "documents"
SHOWN = 5
HINT = (
    "for each: appliance backup restore-document ID (appliance backup run --json lists all); then find out why: "
    "journalctl -k, and who was logged in"
)


def compare_documents(context: Context, data: Paths, send: Send) -> Documents:
    """Compare the documents below `data`, querying the application through `send`.

    The application decrypts only documents not yet proven with the same content and keys, and those due again. Raises
    ApplianceError if this cannot be done.
    """
    hashes, day = hash_all(data.vault), today()
    keyring = hashlib.sha256(b"".join((data.keyring / name).read_bytes() for name in (PUBLIC, SECRET))).hexdigest()
    proofs = read_proofs(context.paths, keyring)
    proven = proofs.holding(hashes, day)
    rows, unreadable = read_documents(send, proven)
    # A running site may have new ones by now.
    hashes |= hash_all(data.vault, rows - hashes.keys())
    read = (rows & hashes.keys()) - proven - unreadable.keys()
    proofs.renewed({name: hashes[name] for name in read}, day).save(context.paths)
    return compare(hashes, read_ledger(data), rows, unreadable, proven)


def tell_of_documents(context: Context, stock: Stock) -> None:
    """Raise or clear the alert about documents that the site has lost."""
    found = {"missing": stock.missing, "altered": stock.altered}
    found["gone, and it is unknown whether the application removed it"] = stock.gone
    lines = [f"{name} is {what}" for what, names in found.items() for name in names]
    if not lines:
        context.alerts.clear(TOPIC)
        return
    more = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    plural = "s" if len(lines) > 1 else ""
    message = f"this site has lost {len(lines)} document{plural}: {', '.join(lines[:SHOWN])}{more}"
    context.alerts.put(TOPIC, "critical", message, HINT)
