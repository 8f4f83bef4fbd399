"""Completion for bash, zsh and fish: short scripts that ask the command itself, by typer's protocol.

So completion always matches the installed release. The shells load the scripts on demand.
"""

BASH = """\
# Completion of appliance for bash.
_appliance() {
    local IFS=$'\\n'
    mapfile -t COMPREPLY < <(
        env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _APPLIANCE_COMPLETE=complete_bash "$1" 2>/dev/null
    )
    # An empty line means that nothing matches. Without it, bash completes file names.
    if [ -z "${COMPREPLY[0]}" ]; then COMPREPLY=(); fi
}
complete -o default -F _appliance appliance
"""

ZSH = """\
#compdef appliance
# Completion of appliance for zsh.
eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _APPLIANCE_COMPLETE=complete_zsh appliance 2>/dev/null)"
"""

FISH = """\
# Completion of appliance for fish.
function __appliance_complete
    env _APPLIANCE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) appliance 2>/dev/null
end
complete --command appliance --no-files --condition '__appliance_complete is-args' \\
    --arguments '(__appliance_complete get-args)'
"""

# Path of each script below a folder such as /usr/local/share.
SCRIPTS = {
    "bash-completion/completions/appliance": BASH,
    "zsh/site-functions/_appliance": ZSH,
    "fish/vendor_completions.d/appliance.fish": FISH,
}
