#!/bin/sh
# Finishes one upload over as many nights as it takes. Copy this file, set what is below, and call it from cron:
#
#     0 23 * * * /srv/glacier/cron.sh --stop-at 07:00
#
# It needs flock (Linux), and the credentials in a file, as `aws configure` writes it. Cron mails what goes wrong, and
# once, at the end, that the archive is stored. A command that such a mail ends with may be pasted, but need not be: the
# next night does the same.
#
# Flags that follow are handed on: --stop-at 07:00 keeps to the night, --max-bandwidth 6MB leaves room for others.
# --rehearse DIR tries it out; what that leaves in STATE has names that begin with "rehearsal-", and may be deleted.
set -u

SOURCE=${SOURCE:-/srv/big.tar}           # the file to upload
VAULT=${VAULT:-photos}                   # the vault, which must exist
REGION=${REGION:-eu-west-1}              # its region
PROJECT=${PROJECT:-/srv/glacier-upload}  # the folder of GlacierMPUP.py and .venv
STATE=${STATE:-/srv/glacier}             # the folder for the files below

name=$(basename "$SOURCE")
case " $* " in *" --rehearse"[\ =]*) name="rehearsal-$name" ;; esac
receipt="$STATE/$name.receipt"  # finds the archive again, once there is one
over="$STATE/$name.done"        # exists once there is nothing left to do
lock="$STATE/$name.lock"        # is locked by a run that is still busy
log="$STATE/$name.log"

upload() { .venv/bin/python GlacierMPUP.py "$@"; }  # as installed by pipx: glacier-mpup "$@"

mkdir -p "$STATE" && cd "$PROJECT" || exit 1
exec 9>"$lock" || exit 1
flock -n 9 || exit 75
if [ -e "$over" ] || [ -s "$receipt" ]; then exit 0; fi

upload --resume --quiet --receipts "$receipt" \
    --source-path "$SOURCE" --vault "$VAULT" --region "$REGION" "$@" >>"$log"
code=$?

# After 0 the archive is stored, and the same command would upload the file once more. After 4 nobody knows whether it
# is: the mail says how to find out. To upload the file after all, delete the .done file and the receipt. All else is
# tried again.
case $code in
    0 | 4) : >"$over" ;;
esac
if [ "$code" = 0 ] && [ -s "$receipt" ]; then
    echo "$SOURCE is stored. Keep a copy of $receipt elsewhere: its id is needed to retrieve the archive."
fi
exit "$code"
