include:
  - common.system
  - common.packages
  - common.user
