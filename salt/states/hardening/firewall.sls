/etc/nftables/appliance.nft:
  file.managed:
    - source: salt://hardening/files/firewall.nft
    - template: jinja
    - makedirs: true

/etc/nftables/appliance.d:
  file.directory: []

# Debian's own unit flushes all rules, including docker's.
nftables:
  unit.masked: []

firewall:
  firewall.loaded:
    - order: last
    - require:
      - file: /etc/nftables/appliance.nft

appliance-firewall:
  unit.running:
    - order: last
    - require:
      - applied: unit files
