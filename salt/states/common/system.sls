{% set machine = pillar['machine'] %}
{% if machine['hostname'] %}
/etc/hostname:
  file.managed:
    - contents: {{ machine['hostname'] }}

hostname:
  applied.since_change:
    - files: [/etc/hostname]
    - commands: [hostname -F /etc/hostname]

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
  applied.since_change:
    - files: [/etc/systemd/journald.conf.d/appliance.conf]
    - commands: [systemctl restart systemd-journald]

/etc/tmpfiles.d/appliance.conf:
  file.managed:
    - source: salt://common/files/tmpfiles.conf

runtime folders:
  applied.since_change:
    - files: [/etc/tmpfiles.d/appliance.conf]
    - commands: [systemd-tmpfiles --create /etc/tmpfiles.d/appliance.conf]
