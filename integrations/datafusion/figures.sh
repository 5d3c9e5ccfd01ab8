# shellcheck shell=bash
# The figures of scripts/cluster, which sources this file: the same query in five ways, and the record of it.
# shellcheck disable=SC2154 # variables of scripts/cluster

rounds=3

# median COMMAND...: runs it once, then `rounds` times, and prints the median of its seconds.
median() {
  local round
  for ((round = 0; round <= rounds; round++)); do
    "$@" | sed -n 's/.* rows in \([0-9.]*\) s.*/\1/p' | if ((round)); then cat; else cat >/dev/null; fi
  done | sort -n | sed -n "$(((rounds + 1) / 2))p"
}

# row WHAT CORES SECONDS [SECONDS WITHOUT THE NETWORK]
row() {
  [[ $3 =~ ^[0-9.]+$ && ${4-0} =~ ^[0-9.]+$ ]] || { echo "no figure for: $1" >&2; exit 1; }
  awk -v what="$1" -v cores="$2" -v s="$3" -v w="${4:-}" -v n="$rows" \
    'BEGIN { printf "| %s | %s | %.2f | %.0f | %s |\n", what, cores, s, n / s, w == "" ? "" : sprintf("%.2f", w) }'
}

rows=100000
scan="SELECT id, array_length(frames) AS steps FROM '$files'"
output=(--output "$folder/result.parquet")
((${#cores[@]} >= 2)) || { echo "the figures need two cores" >&2; exit 1; }
one=${cores[0]} other=${cores[1]}
both=$one,$other

plain() { taskset -c "$1" "$program" plain --model "$model" --device "$device" "$folder"/sequences/*.parquet; }
on_two_cores() { taskset -c "$both" "$program" local --model "$model" --device "$device" "${set[@]}" "${output[@]}" --query "$1"; }
on_cluster() { run_cluster "$1" "${output[@]}"; }

# What other processes use of the cores, in percent, during two seconds.
others() {
  { grep '^cpu ' /proc/stat; sleep 2; grep '^cpu ' /proc/stat; } | awk '
    { all = 0; for (i = 2; i <= 9; i++) all += $i; idle = $5 + $6 }
    NR == 1 { all_before = all; idle_before = idle }
    NR == 2 { printf "%.0f", 100 * (1 - (idle - idle_before) / (all - all_before)) }'
}
others_before=$(others)

step "figures: medians of $rounds, after one that warms up"
{
  row "the crate alone, sequences in memory" 1 "$(median plain "$one")"
  row "the crate alone, sequences in memory" 2 "$(median plain "$both")"
  row "one process, Parquet to Parquet" 2 "$(median on_two_cores "$query")" "$(median on_two_cores "$scan")"
  cluster "$one"
  row "one executor" 1 "$(median on_cluster "$query")" "$(median on_cluster "$scan")"
  stop
  cluster "$both"
  row "one executor" 2 "$(median on_cluster "$query")" "$(median on_cluster "$scan")"
  stop
  cluster "$one" "$other"
  row "two executors, a core each" 2 "$(median on_cluster "$query")" "$(median on_cluster "$scan")"
  stop
} >"$folder/table"
in_bytes=$(cat "$folder"/sequences/*.parquet | wc -c)
run_local "$query" "${output[@]}" >/dev/null # the last of the above was the scan
out_bytes=$(wc -c <"$folder/result.parquet")
a_sequence() { awk -v b="$1" -v n="$rows" 'BEGIN { printf "%.0f", b / n }'; }
others_after=$(others)
busy=
if ((others_before + others_after > 20)); then
  busy=$'\n**The machine was busy** with other work: to be measured again when it is quiet.'
fi

{
  cat <<RECORD
# LSTM functions in a query engine

Made by \`scripts/cluster --figures\` on $(date -u '+%Y-%m-%d %H:%M UTC'), commit $(git rev-parse --short=12 HEAD).
CPU: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores. Device: $device.
Other processes used $others_before % of the cores before, and $others_after % after.

\`SELECT id, lstm_last('m', frames)\` over $rows ragged sequences of 1 to 40 vectors, I 16, H 64, in 8 Parquet files.
Scheduler, executors and client share the machine: the client takes part of the cores to receive and write rows.
The last column is the same query without the network, \`array_length(frames)\`: what reading, planning and moving cost.$busy

| | cores | s | sequences a second | s without the network |
|---|---|---|---|---|
$(cat "$folder/table")

| bytes a sequence | |
|---|---|
| read, Parquet | $(a_sequence "$in_bytes") |
| returned, id and 64 f32 | $(a_sequence "$out_bytes") |
RECORD
} | tee benches/record/cluster.md
