base:
  '*':
    - common
{% if pillar.get('appliance', {}).get('enabled') %}
    - hardening
    - docker
    - postgresql
    - backup
    - nginx
{% if pillar['machine']['acme'] %}
    - acme
{% endif %}
    - appliance
    - extra
{% endif %}
