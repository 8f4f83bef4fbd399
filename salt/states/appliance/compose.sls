# Before the file that names them: every docker compose command fails if one is missing.
service files:
  service_files.present:
    - name: /app/etc/ecs

/app/etc/ecs/docker-compose.yml:
  file.managed:
    - source: salt://containers/compose.yml
    - template: jinja
    - context:
        compose: {{ pillar['machine']['compose'] | tojson(ensure_ascii=False) }}
    - mode: '0600'
    - require:
      - service_files: service files
    - show_changes: false

