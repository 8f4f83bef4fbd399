"""Texts printed on the paper for its finder, in German and English. Names in braces are filled in when it is drawn."""

from dataclasses import dataclass

from ecs_appliance.paper.text import CONTINUED, HOW_TO_TYPE, NO_LINE_END

SOFTWARE, APPLICATION = "https://github.com/ecs-org/ecs-appliance", "https://github.com/ecs-org/ecs"


@dataclass(frozen=True)
class PaperWords:
    """The texts in one language: on each page, on the first page of a share, and on the page of instructions."""

    page: str
    warning: str
    warning_of_shares: str
    share: str
    of_shares: tuple[str, str, str]
    title: str
    other_language: str
    purpose_heading: str
    purpose: str
    software_heading: str
    software: str
    reading_heading: str
    scan: str
    one_code: str
    codes: str
    one_of_shares: str
    ours: str
    public: str
    unconnected: str
    checksum: str
    typing: str
    scheme: str
    recover: str
    server_heading: str
    server: str
    code_heading: str
    code: str


ENGLISH = PaperWords(
    page="page {number} of {total}",
    warning="Secret: anyone who has this paper has the keys to the site. Keep it locked away. What this is: last page.",
    warning_of_shares=(
        "Secret: anyone who has {needed} of the {total} shares has the keys to the site. Keep it locked away. What "
        "this is: last page."
    ),
    share="Share {number} of {total}",
    of_shares=(
        "Any {needed} shares recover the file; fewer reveal nothing about its content.",
        "Keep each in a different place, with a different person.",
        "All shares of one set have this number: {digest}",
    ),
    title="How to recover this file",
    other_language="Auf Deutsch: vorige Seite",
    purpose_heading="What this is",
    purpose=(
        "These pages contain env.yml, the one file that describes the server of an ethics commission (ECS): its "
        "addresses, certificates and keys, and the password of its backups. With it and the backups, a lost server "
        "can be rebuilt; without it, nobody can read the backups. You need someone who knows the Linux command line."
    ),
    software_heading="Where to get the software",
    software=(
        f"{SOFTWARE} has this software and its manual, {APPLICATION} the application. If they have moved, "
        "search for “ecs-appliance”. If this server got them from another place, env.yml names it: "
        "appliance.git, ecs.git."
    ),
    reading_heading="From paper to file",
    scan=(
        "Scan the pages with codes at 300 dpi, or photograph each: {codes} in all. Order and orientation do not "
        "matter, nor do pages scanned twice; but all must have the same date at the top."
    ),
    one_code="code",
    codes="codes",
    one_of_shares=(
        "This is one of {total} shares. Bring together the pages of any {needed} shares: from fewer, nothing can be "
        "read. The codes of the file are the same on all of them; only the words differ."
    ),
    ours="With the ecs-appliance:",
    public="Without it, with public tools (Debian: apt-get install zbar-tools):",
    unconnected="zbarimg will complain about a missing connection: over it, every program would learn what is read.",
    checksum="The last command must print what is at the top of each page with codes:",
    typing=f"If the codes can no longer be read, type the text of the first pages. {HOW_TO_TYPE}",
    scheme=(
        "The words follow SLIP-39, a published scheme (Python: pip install 'shamir-mnemonic[cli]'). Use a machine "
        "that only you use: the secret appears in its command lines."
    ),
    recover="asks for the words, needs no passphrase, and prints the secret; put it in place of KEY:",
    server_heading="From file to server",
    server=(
        "The manual explains it in its chapter “Recover a lost machine”: install the appliance on a new server with "
        "Debian, copy env.yml to /app/env.yml, and run as root “systemctl start appliance-update”, then "
        "“recover-from-backup.sh --yes-i-am-sure”. The backups are where env.yml says: appliance.backup.url."
    ),
    code_heading="What a code contains, in case a tool is missing",
    code=(
        "137 characters of {digits} and {last_digit}, which stand for the digits 0, 1, 2 and 3: the kind (0: the "
        "file, 1: the file encrypted, for shares), the number of the code and the number of all codes with four "
        "digits each in base 4, and the SHA-256 with 128. Then a part of the base32 (RFC 4648) of the gzip (RFC "
        "1952) of the file. Base32 has none of these characters: lines are sorted by them, and base32 -i skips them."
    ),
)
GERMAN = PaperWords(
    page="Seite {number} von {total}",
    warning=(
        "Geheim: Wer dieses Papier hat, hat die Schlüssel der Anwendung. Unter Verschluss halten. Was das ist: "
        "vorletzte Seite."
    ),
    warning_of_shares=(
        "Geheim: Wer {needed} der {total} Teile hat, hat die Schlüssel der Anwendung. Unter Verschluss halten. Was "
        "das ist: vorletzte Seite."
    ),
    share="Teil {number} von {total}",
    of_shares=(
        "{needed} beliebige Teile ergeben wieder die Datei; weniger verraten nichts von ihrem Inhalt.",
        "Bewahren Sie jeden Teil an einem anderen Ort auf, bei einer anderen Person.",
        "Alle Teile eines Satzes tragen diese Nummer: {digest}",
    ),
    title="So stellen Sie diese Datei wieder her",
    other_language="In English: next page",
    purpose_heading="Was das ist",
    purpose=(
        "Diese Blätter enthalten env.yml, jene Datei, die den Server einer Ethikkommission (ECS) vollständig "
        "beschreibt: seine Adressen, Zertifikate und Schlüssel und das Passwort seiner Sicherungen. Mit ihr und "
        "den Sicherungen lässt sich ein verlorener Server neu aufbauen; ohne sie kann niemand die Sicherungen "
        "lesen. Ziehen Sie jemanden bei, der mit der Befehlszeile von Linux vertraut ist."
    ),
    software_heading="Woher Sie die Software bekommen",
    software=(
        f"Unter {SOFTWARE} finden Sie diese Software samt Handbuch, unter {APPLICATION} die Anwendung. Sollten sie "
        "übersiedelt sein, suchen Sie nach „ecs-appliance“. Hatte dieser Server sie von anderswo, so steht das in "
        "env.yml unter appliance.git und ecs.git."
    ),
    reading_heading="Vom Papier zur Datei",
    scan=(
        "Scannen Sie die Seiten, auf denen Codes stehen, mit 300 dpi, oder fotografieren Sie jede einzeln: "
        "insgesamt {codes}. Reihenfolge und Ausrichtung sind gleichgültig, doppelt gescannte Seiten stören nicht; "
        "aber alle müssen oben dasselbe Datum tragen."
    ),
    one_code="Code",
    codes="Codes",
    one_of_shares=(
        "Das ist einer von {total} Teilen. Legen Sie die Blätter von {needed} beliebigen Teilen zusammen: Aus "
        "weniger lässt sich nichts lesen. Die Codes der Datei sind auf allen Teilen dieselben, nur die Wörter sind "
        "verschieden."
    ),
    ours="Mit der ecs-appliance:",
    public="Ohne sie, mit frei erhältlichen Werkzeugen (Debian: apt-get install zbar-tools):",
    unconnected=(
        "zbarimg wird eine fehlende Verbindung melden; über sie würde jedes Programm erfahren, was gelesen wird."
    ),
    checksum="Der letzte Befehl muss ausgeben, was oben auf jeder Seite mit Codes steht:",
    typing=(
        "Lassen sich die Codes nicht mehr lesen, tippen Sie den Text der ersten Seiten ab. Die Fortsetzung einer "
        f"Zeile hat {CONTINUED} statt einer Nummer. Was sich nicht drucken oder nicht sehen lässt, steht wie in "
        "Python: \\t für einen Tabulator, \\x20 für ein Leerzeichen am Ende, \\u010d für einen Buchstaben; und "
        f"\\\\ für den Backslash selbst. {NO_LINE_END} am Ende: Die letzte Zeile hat kein Zeilenende."
    ),
    scheme=(
        "Die Wörter sind nach SLIP-39 gebildet, einem veröffentlichten Verfahren (Python: pip install "
        "'shamir-mnemonic[cli]'). Nehmen Sie einen Rechner, den nur Sie benützen: Das Geheimnis steht dort in den "
        "Befehlszeilen."
    ),
    recover=(
        "fragt nach den Wörtern, braucht keine Passphrase und gibt das Geheimnis aus; es kommt an die Stelle von KEY:"
    ),
    server_heading="Von der Datei zum Server",
    server=(
        "Wie das geht, steht im Handbuch (englisch) im Kapitel „Recover a lost machine“: Installieren Sie die "
        "Appliance auf einem neuen Server mit Debian, kopieren Sie env.yml nach /app/env.yml, und führen Sie als "
        "root „systemctl start appliance-update“ aus, danach „recover-from-backup.sh --yes-i-am-sure“. Die "
        "Sicherungen liegen dort, wo env.yml es angibt: appliance.backup.url."
    ),
    code_heading="Was ein Code enthält, falls ein Werkzeug fehlt",
    code=(
        "137 Zeichen aus {digits} und {last_digit}, die für die Ziffern 0, 1, 2 und 3 stehen: die Art (0: die "
        "Datei, 1: die Datei verschlüsselt, bei Teilen), die Nummer des Codes und deren Anzahl mit je vier Ziffern "
        "zur Basis 4, und der SHA-256 mit 128. Danach kommt ein Stück des Base32 (RFC 4648) des gzip (RFC 1952) "
        "der Datei. In Base32 kommt keines dieser Zeichen vor: Nach ihnen werden die Zeilen sortiert, und base32 "
        "-i überspringt sie."
    ),
)
