#!/bin/sh
# qrpdf2data.sh PDF|PICTURE... OUTPUT: read the codes of the sheets and write what they hold; gzipped for OUTPUT.gz.
if [ $# -lt 2 ]; then
    printf 'usage: %s PDF|PICTURE... OUTPUT\n' "${0##*/}" >&2
    exit 2
fi
# The last argument goes to the front as the option, the others stay as they are.
count=$#
while [ "$count" -gt 1 ]; do
    set -- "$@" "$1"
    shift
    count=$((count - 1))
done
output=$1
shift
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env scan --output "$output" -- "$@"
