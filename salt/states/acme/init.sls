{% set acme = pillar['machine']['acme'] %}
acme packages:
  pkg.installed:
    - pkgs: {{ acme['packages'] | tojson }}
    - install_recommends: false

# The client runs as app: nginx reads what it puts there, nothing else of the machine does.
/var/lib/dehydrated/acme-challenges:
  file.directory:
    - user: app
    - group: app
    - mode: '0755'
    - makedirs: true

{% if acme['authority'] %}
/etc/dehydrated/authority.pem:
  file.managed:
    - contents_pillar: machine:acme:authority
    - makedirs: true
{% endif %}

/etc/dehydrated/conf.d/appliance.sh:
  file.managed:
    - source: salt://acme/files/appliance.sh
    - template: jinja
    - makedirs: true
