# The plugin protocol in bash, with nothing but builtins: the jail executes no further program. It understands the calls of
# this plugin, whose one argument is a text, and is no parser of JSON in general.

send() { printf '%s\n' "$1" >&"$JAILPY_FD"; }
receive() { IFS= read -r -u "$JAILPY_FD" line; }

call='"type":"call","id":([0-9]+),"entry":"([a-z]+)","args":(\[.*\]),"kwargs"'
answer='"type":"answer","id":1,"value":(".*")\}$'
refusal='"type":"refusal","id":1,"text":(".*")\}$'

send '{"type":"ready","protocol":1}'
while receive; do
    [[ $line =~ $call ]] || exit 1
    id=${BASH_REMATCH[1]} entry=${BASH_REMATCH[2]} args=${BASH_REMATCH[3]}
    if [ "$entry" != shout ]; then
        send '{"type":"error","id":'"$id"',"kind":"Broken","text":"as it should"}'
        continue
    fi
    send '{"type":"host","id":1,"call":'"$id"',"name":"lookup","args":'"$args"',"kwargs":{}}'
    receive || exit 1
    if [[ $line =~ $answer ]]; then
        value=${BASH_REMATCH[1]}
        send '{"type":"result","id":'"$id"',"value":'"${value^^}"'}'
    elif [[ $line =~ $refusal ]]; then
        send '{"type":"error","id":'"$id"',"kind":"Refused","text":'"${BASH_REMATCH[1]}"'}'
    else
        exit 1
    fi
done
