{% set cluster = '/etc/postgresql/17/main' %}
{% set database = pillar['machine']['postgresql'] %}
postgresql packages:
  pkg.installed:
    - pkgs: {{ database['packages'] | tojson }}
    - install_recommends: false

{{ cluster }}/conf.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/appliance.conf
    - template: jinja
    - user: postgres
    - group: postgres
    - mode: '0644'
    - require:
      - pkg: postgresql packages

{% for name in ('pg_hba.conf', 'pg_ident.conf') %}
{{ cluster }}/{{ name }}:
  file.managed:
    - source: salt://postgresql/files/{{ name }}
    - template: jinja
    - user: postgres
    - group: postgres
    - mode: '0640'
    - require:
      - pkg: postgresql packages
{% endfor %}

/etc/systemd/system/postgresql@17-main.service.d/appliance.conf:
  file.managed:
    - source: salt://postgresql/files/service.conf
    - makedirs: true

postgresql units:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: /etc/systemd/system/postgresql@17-main.service.d/appliance.conf

postgresql@17-main:
  service.running:
    - enable: true
    - watch:
      - file: {{ cluster }}/conf.d/appliance.conf
    - require:
      - cmd: postgresql units

postgresql access rules:
  cmd.run:
    - name: systemctl reload postgresql@17-main
    - onchanges:
      - file: {{ cluster }}/pg_hba.conf
      - file: {{ cluster }}/pg_ident.conf
    - require:
      - service: postgresql@17-main
