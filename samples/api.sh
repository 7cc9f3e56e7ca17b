#!/usr/bin/env bash
# What a program does with the HTTP API, as curl lines.
#
#     samples/api.sh http://127.0.0.1:8080 KEY sip:alice@voicemashup.local
#
# The key is the one that the service shows when it makes an account; the third argument is
# whom to call into the conference: a number, or the address of a registered phone.
set -euo pipefail
url=$1 key=$2 guest=$3
folder=$(dirname "$0")
call() { curl -sS --fail-with-body "$@"; }
field() { sed -n "s:.*<$1>\([^<]*\)</$1>.*:\1:p" | head -n 1; }

echo "- the balance, as JSON"
call "$url/account/getBalance.json?id=$key"; echo

echo "- a conference of half an hour that starts now, as XML"
conference=$(call "$url/conf/createConference.xml?id=$key&duration=30")
echo "$conference"
conf_id=$(field conf_id <<<"$conference")

echo "- a script that leads into it"
script=$(sed "s/conf:12a34b/conf:$conf_id/" "$folder/conference.vxml")
call "$url/script/uploadScript.json" -H "Authorization: Bearer $key" \
    --data-urlencode name=to-the-conference --data-urlencode "source=$script"; echo

echo "- a caller who may come in, where a conference asks who calls"
call "$url/conf/addCaller.json" -d "id=$key" -d "conf_id=$conf_id" -d number=33612345678; echo

echo "- the conference calls a guest"
made=$(call "$url/call/createCall.xml" -d "id=$key" -d "from=conf:$conf_id" --data-urlencode "to=$guest")
echo "$made"
call_id=$(field call_id <<<"$made")
sleep "${SECONDS_OF_CALL:-5}"

echo "- how the call is going"
call "$url/call/getCall.json?id=$key&call_id=$call_id"; echo

echo "- and its end"
call "$url/call/releaseCall.xml?id=$key&call_id=$call_id"; echo
