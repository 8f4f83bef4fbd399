{% for unit in ('nginx.service', pillar['machine']['postgresql']['unit']) %}
/etc/systemd/system/{{ unit }}.d/hardening.conf:
  file.managed:
    - source: salt://hardening/files/{{ unit.partition('.')[0].partition('@')[0] }}.conf
    - template: jinja
    - makedirs: true

# Takes effect when the service starts. Last, because its package must be installed first.
{{ unit }} hardening:
  applied.since_change:
    - files: [/etc/systemd/system/{{ unit }}.d/hardening.conf]
    - commands: [systemctl daemon-reload, systemctl try-restart {{ unit }}]
    - order: last
{% endfor %}
