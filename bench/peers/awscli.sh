#!/bin/sh
# Upload a file with the AWS CLI as its users do: split it, send the parts in a loop, complete.
#   awscli.sh AWS FILE BLOCK_BYTES PARALLEL FOLDER
# The tree hash of the whole, which its users compute by other means, is left out: it is a constant.
set -eu
aws=$1 file=$2 block=$3 parallel=$4 folder=$5
size=$(wc -c < "$file" | tr -d ' ')
none=0000000000000000000000000000000000000000000000000000000000000000
rm -rf "$folder"
mkdir -p "$folder"
split -b "$block" -a 5 "$file" "$folder/part."
id=$("$aws" glacier initiate-multipart-upload --account-id - --vault-name bench \
    --part-size "$block" --query uploadId --output text)
first=0
for part in "$folder"/part.*; do
    last=$((first + block - 1))
    [ "$last" -lt "$size" ] || last=$((size - 1))
    echo "$part $first $last"
    first=$((last + 1))
done | xargs -n 3 -P "$parallel" sh -c '"$1" glacier upload-multipart-part --account-id - \
    --vault-name bench --upload-id "$2" --body "$3" --range "bytes $4-$5/*" > /dev/null' \
    sh "$aws" "$id"
"$aws" glacier complete-multipart-upload --account-id - --vault-name bench --upload-id "$id" \
    --archive-size "$size" --checksum "$none" > /dev/null
rm -rf "$folder"
