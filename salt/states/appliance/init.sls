include:
  - appliance.installed
  - appliance.commands
  - appliance.units
{% if pillar['machine']['configured'] %}
  - appliance.compose
  - appliance.extra
{% endif %}
