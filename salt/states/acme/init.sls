{% set acme = pillar['machine']['acme'] %}
acme packages:
  pkg.installed:
    - pkgs: {{ acme['packages'] | tojson }}
    - install_recommends: false

# Owned by app, because the ACME client runs as app. Only nginx reads this folder.
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
