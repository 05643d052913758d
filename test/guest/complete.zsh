# complete.zsh TEXT: what zsh lists when Tab is pressed behind TEXT. For guests: it takes a pseudo terminal.
setopt extendedglob
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT= RPROMPT= PROMPT_EOL_MARK= LISTMAX=0; unset zle_bracketed_paste; stty cols 200'
zpty -w shell 'autoload -Uz compinit; compinit -u -D; bindkey "^I" list-choices; print LISTE""NING'
zpty -r shell text '*LISTENING*'
zpty -w -n shell "$1"$'\t'
# A shell that completes has asked ksplice, which takes seconds in a guest.
sleep ${2:-3}
zpty -w -n shell $'\C-u'"print DO''NE"$'\n'
zpty -r shell text '*DONE*'
print -r -- ${${text//$'\e'\[[0-9;?]#[a-zA-Z]/}//$'\r'/}
