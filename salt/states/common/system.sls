{% set machine = pillar['machine'] %}
{% if machine['hostname'] %}
/etc/hostname:
  file.managed:
    - contents: {{ machine['hostname'] }}

hostname:
  cmd.run:
    - name: hostname -F /etc/hostname
    - onchanges:
      - file: /etc/hostname

/etc/hosts:
  file.replace:
    - pattern: '^127\.0\.1\.1[ \t].*$'
    - repl: 127.0.1.1 {{ machine['hostname'] }}
    - append_if_not_found: true
    - backup: false
{% endif %}

/etc/localtime:
  file.symlink:
    - target: /usr/share/zoneinfo/{{ machine['timezone'] }}
    - force: true

/etc/timezone:
  file.managed:
    - contents: {{ machine['timezone'] }}

/etc/systemd/journald.conf.d/appliance.conf:
  file.managed:
    - source: salt://common/files/journald.conf
    - makedirs: true

journald:
  cmd.run:
    - name: systemctl restart systemd-journald
    - onchanges:
      - file: /etc/systemd/journald.conf.d/appliance.conf

/etc/tmpfiles.d/appliance.conf:
  file.managed:
    - source: salt://common/files/tmpfiles.conf
