# Written by the appliance (salt/states/acme); read by dehydrated, also when you run it: gosu app dehydrated --help
{% set acme = pillar['machine']['acme'] -%}
CA={{ acme['directory'] }}
BASEDIR=/data/ecs-acme
WELLKNOWN=/var/lib/dehydrated/acme-challenges
CHALLENGETYPE=http-01
KEY_ALGO={{ acme['key_algorithm'] }}
KEYSIZE=3072
CONTACT_EMAIL={{ acme['email'] }}
# Time limits for connections, responses and orders: nothing may wait forever.
CURL_OPTS='--connect-timeout 15 --max-time 60 --max-filesize 1048576{{ ' --cacert /etc/dehydrated/authority.pem' if acme['authority'] else '' }}'
ORDER_TIMEOUT=120
# Delete replaced certificates and their keys; nothing uses them any more.
AUTO_CLEANUP=yes
AUTO_CLEANUP_DELETE=yes
