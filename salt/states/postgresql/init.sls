{% set cluster = '/etc/postgresql/17/main' %}
{% set database = pillar['machine']['postgresql'] %}
# Before the packages: theirs would be of the machine's locale, and none at all where that is not there yet.
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

17/main:
  cluster.present:
    - require:
      - pkg: postgresql packages

# Nobody's keys open the account of the database: its home is root's, and what it had put there goes.
/var/lib/postgresql/.ssh:
  file.absent:
    - require:
      - cluster: 17/main

{{ cluster }}/conf.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/appliance.conf
    - template: jinja
    - makedirs: true
    - user: root
    - group: postgres
    - mode: '0644'
    - require:
      - cluster: 17/main

{% for name in ('pg_hba.conf', 'pg_ident.conf') %}
{{ cluster }}/{{ name }}:
  file.managed:
    - source: salt://postgresql/files/{{ name }}
    - template: jinja
    - user: root
    - group: postgres
    - mode: '0640'
    - require:
      - cluster: 17/main
{% endfor %}

/etc/systemd/system/postgresql@17-main.service.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/service.conf
    - makedirs: true

postgresql units:
  applied.since_change:
    - files: [/etc/systemd/system/postgresql@17-main.service.d/appliance.conf]
    - commands: [systemctl daemon-reload]

postgresql@17-main:
  unit.running:
    - require:
      - applied: postgresql units

postgresql settings:
  applied.since_change:
    - files: [{{ cluster }}/conf.d/appliance.conf]
    - commands: [systemctl restart postgresql@17-main]
    - require:
      - unit: postgresql@17-main

postgresql access rules:
  applied.since_change:
    - files: [{{ cluster }}/pg_hba.conf, {{ cluster }}/pg_ident.conf]
    - commands: [systemctl reload postgresql@17-main]
    - require:
      - applied: postgresql settings
