{% set database = pillar['machine']['postgresql'] %}
{% set cluster = database['version'] ~ '/' ~ database['cluster'] %}
{% set folder = '/etc/postgresql/' ~ cluster %}
{% set unit = database['unit'] %}
# Before the packages: they would create a cluster with the machine's locale, or none if that is not generated yet.
/etc/postgresql-common/createcluster.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/createcluster.conf
    - makedirs: true

postgresql packages:
  pkg.installed:
    - pkgs: {{ database['packages'] | tojson }}
    - install_recommends: false
    - require:
      - file: /etc/postgresql-common/createcluster.d/appliance.conf

{{ cluster }}:
  cluster.present:
    - require:
      - pkg: postgresql packages

# No key may log in as the database's account: its home belongs to root, and this removes what the account put there.
/var/lib/postgresql/.ssh:
  file.absent:
    - require:
      - cluster: {{ cluster }}

{{ folder }}/conf.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/appliance.conf
    - template: jinja
    - makedirs: true
    - user: root
    - group: postgres
    - mode: '0644'
    - require:
      - cluster: {{ cluster }}

{% for name in ('pg_hba.conf', 'pg_ident.conf') %}
{{ folder }}/{{ name }}:
  file.managed:
    - source: salt://postgresql/files/{{ name }}
    - template: jinja
    - user: root
    - group: postgres
    - mode: '0640'
    - require:
      - cluster: {{ cluster }}
{% endfor %}

/etc/systemd/system/{{ unit }}.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/service.conf
    - makedirs: true

postgresql units:
  applied.since_change:
    - files: [/etc/systemd/system/{{ unit }}.d/appliance.conf]
    - commands: [systemctl daemon-reload]

{{ unit }}:
  unit.running:
    - require:
      - applied: postgresql units

postgresql settings:
  applied.since_change:
    - files: [{{ folder }}/conf.d/appliance.conf]
    - commands: [systemctl restart {{ unit }}]
    - require:
      - unit: {{ unit }}

postgresql access rules:
  applied.since_change:
    - files: [{{ folder }}/pg_hba.conf, {{ folder }}/pg_ident.conf]
    - commands: [systemctl reload {{ unit }}]
    - require:
      - applied: postgresql settings
