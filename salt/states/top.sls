base:
  '*':
    - common
{% if pillar['appliance'].get('enabled') %}
    - docker
    - postgresql
    - nginx
{% if pillar['machine']['acme'] %}
    - acme
{% endif %}
    - appliance
    - extra
{% endif %}
