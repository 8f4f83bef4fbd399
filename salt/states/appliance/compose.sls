/app/etc/ecs/docker-compose.yml:
  file.managed:
    - source: salt://containers/compose.yml
    - template: jinja
    - context:
        compose: {{ pillar['machine']['compose'] | tojson(ensure_ascii=False) }}
    - mode: '0600'
    - makedirs: true
    - show_changes: false

