"""Wording of the evidence page in English and German. Names in braces are filled in by `evidence`."""

from collections.abc import Mapping
from dataclasses import dataclass

from ecs_appliance.backup import comparison
from ecs_appliance.backup.comparison import Terms
from ecs_appliance.backup.rehearsal import COMPARISON, DATABASE, FILES


@dataclass(frozen=True)
class EvidenceWords:
    """Wording in one language; `titles` are those of the steps, `point` is the decimal separator."""

    head: str
    recoverable: str
    unreliable: str
    wrong: str
    titles: Mapping[str, str]
    moment: str
    point: str
    rehearsed: str
    backup: str
    taken: str
    target: str
    rpo: str
    rpo_reached: str
    start: str
    start_reached: str
    start_unknown: str
    rto: str
    rto_reached: str
    left_out: str
    left_out_with_start: str
    compared: str
    nothing: str
    rows: str
    other_rows: str
    unrecorded: str
    documents: str
    of_documents: Terms
    uncompared: str
    files: str
    files_found: str
    without_row: str
    application: str
    repository: str
    key: str
    how_heading: str
    how: str
    how_compared: str
    how_uncompared: str


ENGLISH = EvidenceWords(
    head="Rehearsal of a recovery: {domain}",
    recoverable="This backup CAN be recovered.",
    unreliable="This backup can NOT be trusted.",
    wrong="Problems",
    titles={each: each for each in (FILES, DATABASE, COMPARISON)},
    moment="%Y-%m-%d %H:%M:%S %z",
    point=".",
    rehearsed="rehearsed",
    backup="backup",
    taken="of",
    target="at",
    rpo="RPO: maximum data loss",
    rpo_reached="{minutes} min: the longest time without a backup in the last week",
    start="starting the site",
    start_reached="{seconds} s, last time",
    start_unknown="unknown: the site is not running",
    rto="RTO: total time",
    rto_reached="{seconds} s, without {left_out}",
    left_out="installing the machine, building the application, comparing",
    left_out_with_start="the start, installing the machine, building the application, comparing",
    compared="compared",
    nothing="nothing: the rehearsal did not get that far",
    rows="{rows} rows, as recorded at the time of the backup, SHA-256 {digest}",
    other_rows="NOT as recorded: {rows} rows at the time of the backup, SHA-256 {digest}",
    unrecorded="not compared: nothing was recorded for it",
    documents="documents",
    of_documents=comparison.ENGLISH,
    uncompared="NOT compared: {reason}",
    files="files in the vault",
    files_found="{found}; at the time of the backup {then}",
    without_row=", {number} of them without a database row",
    application="application",
    repository="repository",
    key="key",
    how_heading="How this was done",
    how=(
        "The backup was fetched from its target and decrypted with the password from env.yml. Its copy of the "
        "database was started as a separate server and recovered to the time of the backup. Digests of tables are "
        "SHA-256 over all rows, computed at that time on the running site and now in the copy. {documents} "
        "Afterwards the copy was removed completely."
    ),
    how_compared=(
        "Each document row was read with the application's own models, in a container without network, and its file "
        "was compared with the SHA-256 that the site had recorded before the backup. The application decrypted all "
        "documents that it had not yet read with this content and these keys, and those that were due again: each "
        "document is due once every 28 days. It verified their signatures."
    ),
    how_uncompared="Documents were NOT compared with their rows and not decrypted.",
)
GERMAN = EvidenceWords(
    head="Wiederherstellungstest: {domain}",
    recoverable="Die Sicherung LÄSST SICH wiederherstellen.",
    unreliable="Auf die Sicherung ist KEIN Verlass.",
    wrong="Was nicht stimmt (Meldungen von Programmen im Wortlaut)",
    titles={
        FILES: "Dateien zurückspielen",
        DATABASE: "Datenbank zurückspielen",
        COMPARISON: "Dokumente, Datenbank vergleichen",
    },
    moment="%d.%m.%Y, %H:%M:%S Uhr (%z)",
    point=",",
    rehearsed="getestet am",
    backup="Sicherung",
    taken="vom",
    target="Speicherort",
    rpo="RPO: größtmöglicher Datenverlust",
    rpo_reached="{minutes} min: die längste Zeit ohne Sicherung in der letzten Woche",
    start="Start der Anwendung",
    start_reached="{seconds} s, beim letzten Mal",
    start_unknown="nicht bekannt: Die Anwendung läuft nicht",
    rto="RTO: Dauer insgesamt",
    rto_reached="{seconds} s, ohne {left_out}",
    left_out="Installation des Servers, Bau der Anwendung, Vergleich",
    left_out_with_start="Start, Installation des Servers, Bau der Anwendung, Vergleich",
    compared="verglichen",
    nothing="nichts: So weit kam es nicht",
    rows="{rows} Zeilen wie bei der Sicherung, SHA-256 {digest}",
    other_rows="NICHT wie bei der Sicherung: damals {rows} Zeilen, SHA-256 {digest}",
    unrecorded="nicht verglichen: Dazu ist nichts aufgezeichnet",
    documents="Dokumente",
    of_documents=comparison.GERMAN,
    uncompared="NICHT verglichen: {reason}",
    files="Dateien im Dokumentenspeicher",
    files_found="{found}; bei der Sicherung {then}",
    without_row=", davon {number} ohne Zeile in der Datenbank",
    application="Anwendung",
    repository="Repository",
    key="Schlüssel",
    how_heading="So wurde getestet",
    how=(
        "Die Sicherung wurde von ihrem Speicherort geholt und mit dem Passwort aus env.yml geöffnet. Die Kopie der "
        "Datenbank darin wurde als eigener Server gestartet und auf den Zeitpunkt der Sicherung gebracht. Die "
        "Prüfsummen der Tabellen sind SHA-256 über alle Zeilen, zu jenem Zeitpunkt im laufenden Betrieb und nun in "
        "der Kopie berechnet. {documents} Danach wurde die Kopie wieder vollständig entfernt."
    ),
    how_compared=(
        "Jede Zeile eines Dokuments wurde mit den Modellen der Anwendung selbst nachgeschlagen, in einem Container "
        "ohne Netzwerk, und die zugehörige Datei mit dem SHA-256 verglichen, der vor der Sicherung davon "
        "aufgezeichnet worden war. Entschlüsselt hat die Anwendung alle Dokumente, die sie mit diesem Inhalt und "
        "diesen Schlüsseln noch nicht gelesen hatte, und jene, die an der Reihe waren: Binnen 28 Tagen ist jedes "
        "einmal an der Reihe. Ihre Signaturen hat sie geprüft."
    ),
    how_uncompared="Dokumente wurden NICHT mit ihren Zeilen verglichen und auch nicht entschlüsselt.",
)
