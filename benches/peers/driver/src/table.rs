//! The record as markdown.

use std::fmt::{Error, Write};

use crate::record::{CPU_PEERS, Entry, Outcome, RATIOS, Ratio, Record, target};
use crate::workloads;

pub fn markdown(record: &Record) -> Result<String, Error> {
    let mut page = String::from("# wgpu-lstm beside other libraries\n\n");
    writeln!(page, "Made by `benches/peers/run` on {}, commit {}.", record.date, record.commit)?;
    writeln!(page, "CPU: {}, {} cores.", record.cpu, record.cores)?;
    match &record.adapter {
        Ok(adapter) => {
            writeln!(page, "Adapter: {}, {}, {}.\n", adapter.adapter, adapter.driver, adapter.backend)?;
            writeln!(page, "| the adapter's limits, the best of one measurement a workload | |\n|---|---|")?;
            writeln!(page, "| fma on registers | {:.1} GFLOP/s |", adapter.fma_gflops)?;
            let loads = adapter.load_gbps / 16.0;
            writeln!(
                page,
                "| `vec4f` loads from cache | {:.1} GB/s, {loads:.2}·10⁹ loads/s |",
                adapter.load_gbps
            )?;
            writeln!(page, "| one more dispatch in a submission | {:.1} µs |", adapter.dispatch_us)?;
            writeln!(page, "| submit and read back | {:.0} µs |", adapter.round_trip_us)?;
        }
        Err(error) => writeln!(page, "Adapter's limits: not measured ({error}).")?,
    }
    times(&mut page, record)?;
    ratios(&mut page, record)?;
    notes(&mut page, record)?;
    Ok(page)
}

/// A header of these cells, its rule, and nothing else.
fn head(page: &mut String, cells: &[&str]) -> Result<(), Error> {
    writeln!(page, "| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()))
}

fn times(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## Milliseconds a call\n")?;
    let names: Vec<&str> = record.peers.iter().map(|(name, _)| *name).collect();
    head(page, &[&["workload", "sizes"], &names[..], &["ours-gpu, of fma peak"]].concat())?;
    for entry in &record.entries {
        write!(page, "| `{}` | {} |", entry.workload.name, workloads::sizes(&entry.workload))?;
        for name in &names {
            match entry.outcomes.get(name) {
                Some(Outcome::Timed { ms, .. }) => write!(page, " {} |", digits(*ms))?,
                Some(Outcome::Failed(_)) => write!(page, " failed |")?,
                None => write!(page, " absent |")?,
            }
        }
        match (entry.ms("ours-gpu"), &record.adapter) {
            (Some(ms), Ok(adapter)) => {
                let gflops = entry.operations / ms / 1e6;
                writeln!(page, " {:.0} % |", 100.0 * gflops / adapter.fma_gflops)?;
            }
            _ => writeln!(page, " – |")?,
        }
    }
    Ok(())
}

fn ratios(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## How many times faster: peer ÷ ours\n")?;
    let pairs = || record.entries.iter().flat_map(|entry| RATIOS.iter().map(move |ratio| (entry, ratio)));
    let aims = || pairs().filter(|(entry, ratio)| target(&entry.workload, ratio.name).is_some());
    let count = |met| aims().filter(|(entry, ratio)| entry.met(ratio) == met).count();
    let (met, missed, open) = (count(Some(true)), count(Some(false)), count(None));
    writeln!(page, "Targets: {met} met, {missed} missed, {open} not measured.")?;
    let named =
        |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    writeln!(page, "A CPU peer is one of {}.", named(CPU_PEERS.to_vec()))?;
    let timed = |peer: &&str| record.entries.iter().all(|entry| entry.ms(peer).is_some());
    let untimed: Vec<&str> = CPU_PEERS.into_iter().filter(|peer| !timed(peer)).collect();
    if !untimed.is_empty() {
        writeln!(page, "**Not timed on every workload: {}.**", named(untimed))?;
    }
    writeln!(page)?;
    let heads = RATIOS.map(|ratio| format!("{} ÷ {}", ratio.name, ratio.ours));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    head(page, &[&["workload"], &heads[..]].concat())?;
    for entry in &record.entries {
        write!(page, "| `{}` |", entry.workload.name)?;
        for ratio in &RATIOS {
            write!(page, " {} |", verdict(entry, ratio))?;
        }
        writeln!(page)?;
    }
    Ok(())
}

/// As `1.23 openvino (≥ 1.2: met)`.
fn verdict(entry: &Entry, ratio: &Ratio) -> String {
    let Some((value, peer)) = entry.ratio(ratio) else { return String::from("–") };
    let mut cell = digits(value);
    if ratio.peers.len() > 1 {
        cell += &format!(" {peer}");
    }
    if let (Some(least), Some(met)) = (target(&entry.workload, ratio.name), entry.met(ratio)) {
        cell += &format!(" (≥ {least}: {})", if met { "met" } else { "**missed**" });
    }
    cell
}

fn notes(page: &mut String, record: &Record) -> Result<(), Error> {
    writeln!(page, "\n## Peers\n")?;
    for (name, about) in &record.peers {
        match about {
            Ok(about) => writeln!(page, "- `{name}`: {about}")?,
            Err(reason) => writeln!(page, "- `{name}`: absent, {reason}")?,
        }
    }
    writeln!(page, "\n## Checked\n")?;
    writeln!(
        page,
        "Largest error against the float64 reference, over output and state; then the rounds timed.\n"
    )?;
    for entry in &record.entries {
        for (name, outcome) in &entry.outcomes {
            let name = format!("`{}` on `{name}`", entry.workload.name);
            match outcome {
                Outcome::Timed { rounds, error, note, .. } => {
                    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
                    writeln!(page, "- {name}: {error:.1e}, {rounds} rounds{note}")?;
                }
                Outcome::Failed(reason) => {
                    writeln!(page, "- {name}: failed, not timed: {}", reason.replace('\n', " "))?;
                }
            }
        }
    }
    Ok(())
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let decimals = (2 - value.log10().floor() as i32).clamp(0, 4) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::markdown;
    use crate::record::{Entry, Outcome, Record};
    use crate::workloads;

    #[test]
    fn the_page_counts_targets_and_names_the_fastest_and_the_untimed_peers() {
        let workload = workloads::all().into_iter().find(|one| one.name == "keyword").expect("it is listed");
        let timed = |ms| Outcome::Timed { ms, rounds: 7, error: 0.0, note: String::new() };
        let outcomes = BTreeMap::from([
            ("ours-cpu", timed(2.0)),
            ("ort-cpu", timed(3.0)),
            ("openvino", timed(2.2)),
            ("torch", Outcome::Failed(String::from("wrong result: off by 1.0e-2"))),
            ("ours-gpu", timed(1.0)),
            ("ort-webgpu", timed(9.0)),
        ]);
        let page = markdown(&Record {
            date: String::new(),
            commit: String::new(),
            cpu: String::new(),
            cores: 2,
            adapter: Err(String::from("none")),
            peers: outcomes.keys().map(|&name| (name, Ok(String::new()))).collect(),
            entries: vec![Entry { workload, operations: 1.0, outcomes }],
        })
        .expect("a string can be written to");
        for part in [
            "Targets: 1 met, 1 missed, 1 not measured.",
            "**Not timed on every workload: `torch`, `tract`, `rten`, `candle`.**",
            "| 9.00 (≥ 8: met) |",
            "| 1.10 openvino (≥ 1.2: **missed**) |",
            "- `keyword` on `torch`: failed, not timed: wrong result: off by 1.0e-2",
        ] {
            assert!(page.contains(part), "no {part:?} in\n{page}");
        }
    }
}
