nginx packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['nginx']['packages'] | tojson }}
    - install_recommends: false

/etc/nginx/sites-enabled/default:
  file.absent

/etc/nginx/nginx.conf:
  file.managed:
    - source: salt://nginx/files/nginx.conf

{% set names = pillar['machine']['nginx']['sites'] | map(attribute='name') | list %}
server certificates:
  tls.served:
    - hosts: {{ names | tojson }}

client ca:
  tls.client_ca: []

/var/www/html/index.html:
  file.absent

{% for name in ('appliance.conf', 'site.inc', 'guarded.inc', 'identity.inc', 'proxy.inc', 'asked.inc', 'headers.inc', 'page.inc',
    'errors.inc') %}
/etc/nginx/appliance/{{ name }}:
  file.managed:
    - source: salt://nginx/files/{{ name }}
    - template: jinja
    - makedirs: true
{% endfor %}

refusals:
  file.recurse:
    - name: /var/www/html/appliance-refusal
    - source: salt://nginx/files/refusals
    - template: jinja
    - file_mode: '0644'
    - clean: true

/etc/nginx/sites-enabled/appliance.conf:
  file.symlink:
    - target: /etc/nginx/appliance/appliance.conf

status page:
  status_page.present:
    - site: {{ pillar['machine']['nginx']['visitors']['site'] | tojson }}
    - contact: {{ pillar['machine']['nginx']['visitors']['contact'] | tojson }}

/var/www/html/security.txt:
{%- if pillar['machine']['nginx']['security'] %}
  file.managed:
    - source: salt://nginx/files/security.txt
    - template: jinja
{%- else %}
  file.absent
{%- endif %}

/etc/systemd/system/nginx.service.d/appliance.conf:
  file.managed:
    - source: salt://nginx/files/service.conf
    - makedirs: true

nginx unit:
  applied.since_change:
    - files: [/etc/systemd/system/nginx.service.d/appliance.conf]
    - commands: [systemctl daemon-reload]

nginx:
  unit.running: []

nginx configuration:
  applied.since_change:
    - files:
      - /etc/nginx/nginx.conf
      - /etc/nginx/appliance/*
      - /etc/nginx/sites-enabled/*
    - commands:
      - nginx -t -q
      - systemctl reload nginx

# After the reload: until then, nginx still needs the former certificates.
former server certificates:
  tls.only:
    - hosts: {{ names | tojson }}
    - require:
      - applied: nginx configuration

# These have the same names as in the units that deploy certificates (src/ecs_appliance/host/nginx.py), so that neither
# repeats a reload that the other has done.
nginx server certificates:
  applied.since_change:
    - files: [/etc/nginx/appliance/certificates/*]
    - commands:
      - nginx -t -q
      - systemctl reload nginx

nginx client ca:
  applied.since_change:
    - files: [/etc/nginx/client-ca/*]
    - commands:
      - nginx -t -q
      - systemctl reload nginx

/app/etc/server.key.pem:
  file.absent
