/etc/apt/apt.conf.d/60appliance:
  file.managed:
    - source: salt://hardening/files/apt.conf

{% for timer in ('apt-daily.timer', 'apt-daily-upgrade.timer') %}
{{ timer }}:
  unit.running: []
{% endfor %}
