# Written by the appliance (salt/states/acme); read by dehydrated, also where you call it: gosu app dehydrated --help
{% set acme = pillar['machine']['acme'] -%}
CA={{ acme['directory'] }}
BASEDIR=/data/ecs-acme
WELLKNOWN=/var/lib/dehydrated/acme-challenges
CHALLENGETYPE=http-01
KEY_ALGO={{ acme['key_algorithm'] }}
KEYSIZE=3072
CONTACT_EMAIL={{ acme['email'] }}
# Nothing waits for ever: a connection, an answer, an order.
CURL_OPTS='--connect-timeout 15 --max-time 60 --max-filesize 1048576{{ ' --cacert /etc/dehydrated/authority.pem' if acme['authority'] else '' }}'
ORDER_TIMEOUT=120
# Keys of certificates that were replaced are of no use to anybody.
AUTO_CLEANUP=yes
AUTO_CLEANUP_DELETE=yes
