#!/bin/sh
# Finishes one upload over as many nights as it takes. Copy this file, set what is below, and call it from cron:
#
#     30 1 * * * /srv/glacier/cron.sh
#
# It is silent as long as there is nothing for you to do: cron mails what goes wrong. Flags that follow the call
# are handed on, to try it out (--rehearse DIR) or to leave room for others (--max-bandwidth 6MB).
set -u

SOURCE=${SOURCE:-/srv/big.tar}           # the file to upload
VAULT=${VAULT:-photos}                   # the vault, which must exist
REGION=${REGION:-eu-west-1}              # its region; cron has no AWS_DEFAULT_REGION
PROJECT=${PROJECT:-/srv/glacier-upload}  # where GlacierMPUP.py and .venv are
STATE=${STATE:-/srv/glacier}             # where the log, the receipts and the two files below are kept

# To upload only at night, hand on --stop-at 07:00.

name=$(basename "$SOURCE")
over="$STATE/$name.done"  # is there once nothing is left to be done; delete it to upload the file anew
lock="$STATE/$name.lock"  # is held by a run that is still busy

cd "$PROJECT" || exit 1
exec 9>"$lock" || exit 1
flock -n 9 || exit 75  # the run of last night is still busy, and goes on
[ -e "$over" ] && exit 0

.venv/bin/python GlacierMPUP.py --resume --quiet --receipts "$STATE/receipts.jsonl" \
    --source-path "$SOURCE" --vault "$VAULT" --region "$REGION" "$@" >>"$STATE/$name.log"
code=$?

# 0: the archive is stored, and the same command would upload it once more. 4: nobody knows whether it is; the mail
# says how to find out, and until you have, nothing may be uploaded again. All others are tried again next night.
case $code in
    0 | 4) : >"$over" ;;
esac
exit "$code"
