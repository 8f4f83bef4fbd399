{% set extra = pillar['machine']['extra'] %}
{% if extra['packages'] %}
extra packages:
  pkg.installed:
    - pkgs: {{ extra['packages'] | tojson }}
    - install_recommends: false
{% endif %}

{% for file in extra['files'] %}
{{ file['path'] | tojson }}:
  file.managed:
    - contents_pillar: machine:extra:files:{{ loop.index0 }}:contents
    - user: {{ file['user'] }}
    - group: {{ file['group'] }}
    - mode: '{{ file['permissions'] }}'
    - makedirs: true
    - follow_symlinks: false
    - show_changes: false
{% endfor %}
