units and commands:
  installed.current: []
