# Offer TLS sessions to the frontend for resumption, with each kind of certificate and of session. Runs in the machine.
#
#   sessions.sh FOLDER DOMAIN
#
# FOLDER contains one PEM file per kind of certificate (empty: none). The sessions come from a second server with the
# same certificate, which resumes them. Prints a line for each: kind, way, whether that server and the frontend resumed
# it, whether the frontend issued a session, and its status.
set -eu
folder=$1 domain=$2
certificate=/etc/nginx/appliance/certificates/$domain.pem
openssl s_server -accept 127.0.0.1:8443 -cert "$certificate" -key "$certificate" -verify 1 -www -quiet >/dev/null 2>&1 &
trap "kill $!" EXIT
for _ in $(seq 50); do ss -Hltn sport = :8443 | grep -q . && break; sleep 0.1; done

# ask PORT OPTIONS…: send a request over a new connection
ask() {
    port=$1; shift
    printf 'GET /probe HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$domain" |
        timeout 10 openssl s_client -connect "127.0.0.1:$port" -servername "$domain" -ign_eof "$@" 2>/dev/null || true
}
session() { sed -n 's/^\(New\|Reused\), .*/\1/p' | head -n 1; }

for file in "$folder"/*.pem; do
    kind=$(basename "$file" .pem)
    if [ -s "$file" ]; then show="-cert $file -key $file"; else show=; fi
    for way in "-tls1_2 -no_ticket" "-tls1_2" "-tls1_3"; do
        saved=$folder/session
        rm -f "$saved"
        ask 8443 $way $show -sess_out "$saved" >/dev/null
        control=$(ask 8443 $way $show -sess_in "$saved" | session)
        ask 443 $way $show -sess_in "$saved" -sess_out "$saved.ours" >"$folder/answer"
        kept=no; [ -e "$saved.ours" ] && kept=yes
        status=$(sed -n 's/^HTTP\/1.1 \([0-9]*\) .*/\1/p' "$folder/answer" | head -n 1)
        rm -f "$saved.ours"
        echo "$kind $(echo "$way" | tr -d ' ') $control $(session <"$folder/answer") $kept $status"
    done
done
