# Completion of appliance for fish.
function __appliance_complete
    env _APPLIANCE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
        _TYPER_COMPLETE_ARGS=(commandline -cp) appliance 2>/dev/null
end
complete --command appliance --no-files --condition '__appliance_complete is-args' \
    --arguments '(__appliance_complete get-args)'
