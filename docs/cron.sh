#!/bin/sh
# Finishes one upload over as many nights as it takes. Copy this file, set what is below, and call it from cron:
#
#     0 23 * * * /srv/glacier/cron.sh --stop-at 07:00
#
# It needs flock (Linux), and the credentials in a file, as `aws configure` writes it. It is silent as long as there
# is nothing for you to do, and cron mails what goes wrong.
#
# Flags that follow are handed on: --stop-at 07:00 keeps to the night, --max-bandwidth 6MB leaves room for others.
# --rehearse DIR tries it out; afterwards delete DIR and all that it has left in STATE, which names an archive that AWS
# does not have.
set -u

SOURCE=${SOURCE:-/srv/big.tar}           # the file to upload
VAULT=${VAULT:-photos}                   # the vault, which must exist
REGION=${REGION:-eu-west-1}              # its region
PROJECT=${PROJECT:-/srv/glacier-upload}  # the folder of GlacierMPUP.py and .venv
STATE=${STATE:-/srv/glacier}             # the folder for the log, the receipts, and the two files below

name=$(basename "$SOURCE")
over="$STATE/$name.done"  # exists once there is nothing left to do
lock="$STATE/$name.lock"  # is locked by a run that is still busy

cd "$PROJECT" || exit 1
exec 9>"$lock" || exit 1
flock -n 9 || exit 75
[ -e "$over" ] && exit 0

.venv/bin/python GlacierMPUP.py --resume --quiet --receipts "$STATE/receipts.jsonl" \
    --source-path "$SOURCE" --vault "$VAULT" --region "$REGION" "$@" >>"$STATE/$name.log"
code=$?

# After 0 the archive is stored, and the same command would upload the file once more. After 4 nobody knows whether it
# is: the mail says how to find out. To upload the file after all, delete the .done file. All else is tried again.
case $code in
    0 | 4) : >"$over" ;;
esac
exit "$code"
