#!/usr/bin/env bash
# Tests of the generator capnpc-hearth-go, whose binary is the only argument:
#
#  - Every schema in bad/ is refused, with exactly the errors in its "# want LINE: MESSAGE" comments
#    (MESSAGE may be cut off), and nothing is written.
#  - What the corpus generates is the same every time, as gofmt would format it, and checked in.
#
# The last line of output is "N passed, N failed". Needs capnp and gofmt.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: generator_test.sh CAPNPC_HEARTH_GO" >&2
  exit 2
fi
plugin=$(realpath "$1")
cd "$(dirname "$0")/../../.." || exit 2
here=tests/conformance/wire
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0

pass() { passed=$((passed + 1)); }
fail() {
  failed=$((failed + 1))
  echo "FAILED: $*"
}

# Prints what is wrong with the errors in $scratch/errors for the schema $1; nothing if all is well.
compare_errors() {
  grep '^# want ' "$1" | sed 's/^# want //' >"$scratch/wanted"
  [ -s "$scratch/wanted" ] || echo "no wanted errors"
  while IFS= read -r wanted; do
    grep -qF "capnpc-hearth-go: $1:$wanted" "$scratch/errors" || echo "missing: $wanted"
  done <"$scratch/wanted"
  got=$(grep -c '^capnpc-hearth-go: ' "$scratch/errors" || true)
  want=$(wc -l <"$scratch/wanted")
  [ "$got" -eq "$want" ] || echo "$got errors, wanted $want"
}

for schema in "$here"/bad/*.capnp; do
  mkdir -p "$scratch/out"
  if capnp compile -I. -o "$plugin:$scratch/out" "$schema" 2>"$scratch/errors"; then
    fail "$schema is accepted"
  elif problem=$(compare_errors "$schema") && [ -n "$problem" ]; then
    fail "$schema: $problem"
    cat "$scratch/errors"
  elif [ -n "$(ls "$scratch/out")" ]; then
    fail "$schema: files are written"
  else
    pass
  fi
  rm -rf "$scratch/out"
done

# A source file that the generator cannot find has no line numbers, and is an error nevertheless.
mkdir -p "$scratch/out" "$scratch/elsewhere"
cp "$here/bad/defaults.capnp" "$scratch/elsewhere/hidden.capnp"
if capnp compile -I. --src-prefix="$scratch/elsewhere" -o "$plugin:$scratch/out" \
    "$scratch/elsewhere/hidden.capnp" 2>"$scratch/errors"; then
  fail "a schema with a source prefix is accepted"
elif grep -q '^capnpc-hearth-go: hidden.capnp: Holder.point: default' "$scratch/errors"; then
  pass
else
  fail "a schema with a source prefix: $(cat "$scratch/errors")"
fi
if HEARTH_SCHEMA_PATH=/nowhere:$scratch/elsewhere capnp compile -I. \
    --src-prefix="$scratch/elsewhere" -o "$plugin:$scratch/out" \
    "$scratch/elsewhere/hidden.capnp" 2>"$scratch/errors"; then
  fail "a schema on HEARTH_SCHEMA_PATH is accepted"
elif grep -q '^capnpc-hearth-go: hidden.capnp:[0-9]*: Holder.point: default' "$scratch/errors"; then
  pass
else
  fail "a schema on HEARTH_SCHEMA_PATH: $(cat "$scratch/errors")"
fi

# Good schemas, twice.
mkdir -p "$scratch/first" "$scratch/second"
for run in first second; do
  if ! capnp compile -I. -o "$plugin:$scratch/$run" "$here/corpus.capnp" "$here/other.capnp" \
      "$here/constants.capnp"; then
    fail "the corpus is refused"
  fi
done
if diff -r "$scratch/first" "$scratch/second"; then pass; else fail "the output varies"; fi
if unformatted=$(gofmt -l "$scratch/first") && [ -z "$unformatted" ]; then
  pass
else
  fail "not as gofmt formats it: $unformatted"
fi
if tools/generate-wire --check "$plugin"; then pass; else fail "checked-in code is out of date"; fi

# Garbage on standard input is an error, not a crash.
status=0
echo garbage | "$plugin" >"$scratch/errors" 2>&1 || status=$?
if [ "$status" -eq 1 ] && grep -q '^capnpc-hearth-go: .*:[0-9]*: ' "$scratch/errors"; then
  pass
else
  fail "garbage: $(cat "$scratch/errors")"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
