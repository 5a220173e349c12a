#!/bin/sh
# Runs the command, with the database's password from a mounted file where PGPASSWORD_FILE names one.
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
    unset PGPASSWORD_FILE
fi
# exec: signals reach the command itself.
exec trainstack "$@"
