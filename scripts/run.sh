#!/bin/sh
# run.sh FILE.ts [ARGUMENT]...: makes the clone ready, then runs one of the project's own programs.
set -eu
sh "$(dirname "$0")/setup.sh"
cd "$(dirname "$0")/.."
exec node --import tsx "$@"
