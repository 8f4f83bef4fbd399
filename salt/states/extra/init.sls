#!jinja|jinja|yaml
{{ pillar['machine']['extra']['states'] }}
