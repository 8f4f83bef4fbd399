/etc/apparmor.d/ecs-application:
  file.managed:
    - source: salt://hardening/files/ecs-application
    - makedirs: true

{% if pillar['machine']['apparmor'] %}
# The service loads all profiles at boot.
apparmor:
  unit.running: []

apparmor profile:
  applied.since_change:
    - files: [/etc/apparmor.d/ecs-application]
    - commands: [apparmor_parser --replace /etc/apparmor.d/ecs-application]
{% endif %}
