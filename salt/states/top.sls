base:
  '*':
    - common
{% if pillar['appliance'].get('enabled') %}
    - docker
    - postgresql
    - nginx
    - appliance
    - extra
{% endif %}
