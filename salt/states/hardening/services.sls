{% for unit in ('nginx', 'postgresql@17-main') %}
/etc/systemd/system/{{ unit }}.service.d/hardening.conf:
  file.managed:
    - source: salt://hardening/files/{{ unit.partition('@')[0] }}.conf
    - makedirs: true

# It takes effect when the service starts. Last, when its package is there.
{{ unit }} hardening:
  applied.since_change:
    - files: [/etc/systemd/system/{{ unit }}.service.d/hardening.conf]
    - commands: [systemctl daemon-reload, systemctl try-restart {{ unit }}]
    - order: last
{% endfor %}
